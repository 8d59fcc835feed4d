"""What a host's kernel can do, found by trying it (``guest/probe.sh``)."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.errors import SandboxError
from sandbox.host import Host

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


def probe(host: Host, wanted: Iterable[str] = tuple(CAPABILITIES)) -> dict[str, str]:
    """For each capability "" if the host has it, else why not.

    Raises SandboxError for a name that is none, or if the host cannot be asked.
    """
    wanted = sorted(set(wanted))
    if unknown := [name for name in wanted if name not in CAPABILITIES]:
        raise SandboxError(
            f"No such capability: {', '.join(unknown)}.",
            fix=f"choose from {', '.join(sorted(CAPABILITIES))}",
        )
    result = host.run(["/usr/lib/wire-by-wire/probe.sh", *wanted])
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


def require(host: Host, needs: Iterable[str], engine: str) -> None:
    """Raises SandboxError if the host lacks any of those capabilities. engine: its name."""
    lacking = {name: why for name, why in probe(host, needs).items() if why}
    if lacking:
        what = ", ".join(CAPABILITIES[name] for name in lacking)
        fix = "SANDBOX_ENGINE=vm gives hosts that have them" if engine != "vm" else ""
        why = "; ".join(f"{name}: {why}" for name, why in lacking.items())
        raise SandboxError(f"This lesson needs what the hosts here lack: {what}.", why=why, fix=fix)
