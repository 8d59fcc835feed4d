"""What a host's kernel can do, found by trying it (``guest/capabilities.sh``)."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.errors import SandboxError, expect
from sandbox.hosts.host import Host

__all__ = ["CAPABILITIES", "DRIVERS", "probe", "require"]

# What each network driver asks of the kernel (https://docs.docker.com/engine/network/drivers/).
DRIVERS = {
    "bridge": ("bridge", "veth", "iptables"),
    "host": (),
    "none": (),
    "macvlan": ("macvlan",),
    "ipvlan": ("ipvlan",),
    "overlay": ("vxlan", "bridge", "veth", "ipvs"),
    "overlay, encrypted": ("vxlan", "bridge", "veth", "ipvs", "esp"),
}
CAPABILITIES = {
    "bridge": "Linux bridges",
    "veth": "veth pairs",
    "dummy": "dummy interfaces",
    "vlan": "802.1q sub-interfaces",
    "macvlan": "macvlan interfaces",
    "ipvlan": "ipvlan interfaces",
    "vxlan": "VXLAN interfaces",
    "ipvs": "IPVS virtual servers",
    "esp": "IPsec ESP with AES-GCM",
    "br_netfilter": "iptables rules for bridged packets",
    "iptables": "iptables NAT",
    "nftables": "nftables",
    "trace": "packet tracing by the TRACE target",
}


def checked(wanted: Iterable[str] | None) -> list[str]:
    """Those names, each once and in order. Raises SandboxError if they are not all capabilities."""
    given = [wanted] if isinstance(wanted, str) else wanted or []
    expect(given, Iterable, "a set of capabilities", 'write needs={"ipvlan", "ipvs"}')
    names = list(given)
    if unknown := [repr(name) for name in names if name not in [*CAPABILITIES]]:
        raise SandboxError(
            f"No such capability: {', '.join(unknown)}.",
            fix=f"choose from {', '.join(sorted(CAPABILITIES))}",
        )
    return sorted(set(names))


def probe(host: Host, wanted: Iterable[str] = tuple(CAPABILITIES)) -> dict[str, str]:
    """For each capability "" if the host has it, else why not.

    Raises SandboxError for a name that is none, or if the host cannot be asked.
    """
    wanted = checked(wanted)
    result = host.run(["/usr/lib/wire-by-wire/capabilities.sh", *wanted])
    found = {}
    for line in result.stdout.splitlines():
        name, answer, *reason = line.split(" ", 2)
        found[name] = "" if answer == "yes" else " ".join(reason) or "not available"
    if set(found) != set(wanted):
        raise SandboxError(
            f"What {host.name} can do could not be found out.",
            why=result.stderr.strip(),
        )
    return found


def require(host: Host, needs: Iterable[str], elsewhere: str) -> None:
    """Raises SandboxError if the host lacks any of those capabilities.

    elsewhere: how to have hosts that lack none; "" if there is no such way.
    """
    lacking = {name: why for name, why in probe(host, needs).items() if why}
    if lacking:
        what = ", ".join(CAPABILITIES[name] for name in lacking)
        why = "; ".join(f"{name}: {why}" for name, why in lacking.items())
        raise SandboxError(
            f"This lesson needs what the hosts here lack: {what}.",
            why=why,
            fix=elsewhere and f"for hosts that have them, {elsewhere}, and run this again",
        )
