"""A host's virtual machine: start it on a network, run a command in it, stop it."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.hosts.actions.action import HostCommand
from sandbox.hosts.actions.refusals import Refused

__all__ = ["run_in_vm", "start_vm", "stop_vm", "vm_networks"]

USER_MODE = "user-mode NAT"
# The interfaces that start_vm makes for a virtual machine, and stop_vm removes.
TAP, MACVTAP = "tap0", "macvtap0"


def vm_networks(bridges: Iterable[str], parents: Iterable[str]) -> tuple[str, ...]:
    """What a virtual machine can be put on: user-mode NAT, each bridge, each parent interface."""
    taps = (f"tap in {name}" for name in sorted(bridges))
    return (USER_MODE, *taps, *(f"macvtap on {name}" for name in sorted(parents)))


def start_vm(network: str, there: Iterable[str] = ()) -> list[HostCommand]:
    """Start a host's virtual machine.

    network: one of vm_networks.  there: the host's interfaces; one that a start that failed
    left is made anew.

    Raises Refused for another network.
    """
    kind, _, name = network.rpartition(" ")
    if network == USER_MODE:
        commands = ["vm start"]
    elif kind == "tap in":
        commands = [
            f"ip tuntap add {TAP} mode tap",
            f"ip link set {TAP} master {name} up",
            f"vm start --tap {TAP}",
        ]
    elif kind == "macvtap on":
        commands = [
            f"ip link add {MACVTAP} link {name} type macvtap mode bridge",
            f"ip link set {MACVTAP} up",
            f"vm start --macvtap {MACVTAP}",
        ]
    else:
        raise Refused("vm_network", f"{network!r} is no network for a virtual machine.")
    listed = set(there)
    left = [f"ip link delete {name}" for name in (TAP, MACVTAP) if name in listed]
    # No name of an interface has a space.
    return [HostCommand(tuple(line.split(" "))) for line in (*left, *commands)]


def stop_vm(interfaces: Iterable[str]) -> list[HostCommand]:
    """Stop a host's virtual machine and remove the interfaces that it was on."""
    removed = [HostCommand(("ip", "link", "delete", name)) for name in interfaces]
    return [HostCommand(("vm", "stop")), *removed]


def run_in_vm(line: str) -> HostCommand:
    """Run a shell's line in a host's virtual machine. Raises Refused for none."""
    if not line.strip() or line.strip().startswith("-"):
        raise Refused("vm_command", "There is no command to run.", fix="Write one: uname -r")
    return HostCommand(("vm", "exec", line.strip()))
