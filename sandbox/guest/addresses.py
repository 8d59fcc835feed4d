"""Who has which address: the hosts on their LAN, the VM on the network that QEMU gives it.

198.18.0.0/15 is set aside for tests of network devices (RFC 2544, RFC 6890), so it meets neither a
learner's own network nor those of the hosts' containers.

Standard library only: the agent has it beside it. ``vm-init`` and ``kuryr.conf`` hold some of them
too; a test compares.
"""

RESERVED = "198.18.0.0/15"
LAN = "198.18.0.0/24"
LAN_GATEWAY = "198.18.0.1"
# What QEMU's user networking answers for: the way out, and its DNS server.
VM_NETWORK = "198.19.255.0/24"
VM_GATEWAY = "198.19.255.2"
VM_NAME_SERVER = "198.19.255.3"
VM_ADDRESS = "198.19.255.15"


def on_lan(number: int) -> str:
    """The LAN's address that ends in that number."""
    return f"198.18.0.{number}"


def address(host: str) -> str:
    """That host's IPv4 address on the LAN. host: ``host-a`` or ``a``, up to ``d``."""
    return on_lan(11 + "abcd".index(host[-1]))
