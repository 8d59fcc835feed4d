"""Addresses of the hosts and of the VM are written once, and are on their networks."""

import ast
import ipaddress
import re
from pathlib import Path

import sandbox
from sandbox.guest import addresses
from sandbox.hosts import plan


def test_addresses_are_written_in_one_place():
    """In strings, that is; a docstring may show one."""
    root = Path(sandbox.__file__).parents[1]
    own = root / "sandbox/guest/addresses.py"
    for path in [*root.glob("sandbox/**/*.py"), *root.glob("labs/*/*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.search(r"198\\?\.1[89]", node.value)
                assert not found or id(node) in said or path == own, (path, node.lineno)


def test_the_files_that_import_nothing_have_the_same_addresses():
    guest = Path(addresses.__file__).parent
    used = {
        "vm-init": (
            f"ip address add {addresses.VM_ADDRESS}/24 dev eth0",
            f"echo 'nameserver {addresses.LAN_GATEWAY}' >",
        ),
        "kuryr/kuryr.conf": (f"http://{addresses.address('host-a')}:",),
    }
    for name, lines in used.items():
        text = (guest / name).read_text()
        assert all(line in text for line in lines)
        assert len(re.findall(r"198\.1[89]", text)) == len(lines)


def test_every_address_is_on_its_network():
    lan, vm = (ipaddress.ip_network(it) for it in (addresses.LAN, addresses.VM_NETWORK))
    hosts = [plan.address(name) for name in plan.names(plan.MOST_HOSTS)]
    on_lan = {*map(ipaddress.ip_address, (addresses.LAN_GATEWAY, *hosts))}
    in_vm = {
        *map(
            ipaddress.ip_address,
            (addresses.VM_GATEWAY, addresses.VM_NAME_SERVER, addresses.VM_ADDRESS),
        )
    }
    assert (len(on_lan), len(in_vm)) == (1 + plan.MOST_HOSTS, 3)
    assert on_lan <= {*lan.hosts()}
    assert in_vm <= {*vm.hosts()}
    assert not lan.overlaps(vm)
    assert all(it.subnet_of(ipaddress.ip_network(addresses.RESERVED)) for it in (lan, vm))
