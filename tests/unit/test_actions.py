"""What cannot be asked of any Engine is refused before one is asked, at the field it is about."""

from types import SimpleNamespace

import pytest
from docker.errors import APIError

from sandbox.hosts import actions
from sandbox.hosts.actions import Refused


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda: actions.run(" "), "image"),
        (lambda: actions.run("toolbox", name="a b"), "name"),
        (lambda: actions.run("toolbox", name="x"), "name"),
        (lambda: actions.run("toolbox", ports="80:80:80"), "ports"),
        (lambda: actions.run("toolbox", ports="80:0"), "ports"),
        (lambda: actions.run("toolbox", ports="999.0.0.1:80:80"), "ports"),
        (lambda: actions.run("toolbox", network="host", ports="80:80"), "ports"),
        (lambda: actions.run("toolbox", command="'open"), "command"),
        (lambda: actions.create_network(""), "name"),
        (lambda: actions.create_network("shop", subnet="10.0.0.1/24"), "subnet"),
        (lambda: actions.create_network("shop", gateway="10.0.0.1"), "subnet"),
        (lambda: actions.create_network("shop", subnet="10.0.0.0/24", gateway="x"), "gateway"),
        (
            lambda: actions.create_network("shop", subnet="10.0.0.0/24", gateway="10.1.0.1"),
            "gateway",
        ),
        (lambda: actions.create_network("lan", "macvlan", parent="eth0", vlan=4095), "vlan"),
        (lambda: actions.create_network("lan", "macvlan", vlan=10), "parent"),
        (lambda: actions.remove_network(""), "network"),
        (lambda: actions.connect("", "web"), "network"),
        (lambda: actions.connect("shop", ""), "container"),
        (lambda: actions.disconnect("shop", ""), "container"),
        (lambda: actions.start(""), "container"),
        (lambda: actions.logs(""), "container"),
        (lambda: actions.ping("", "web"), "container"),
        (lambda: actions.ping("web", "-f 10.0.0.1"), "to"),
        (lambda: actions.ping("web", "a; b"), "to"),
        (lambda: actions.curl("web", "shop", 0), "port"),
        (lambda: actions.start_vm(""), "vm_network"),
        (lambda: actions.run_in_vm(" "), "vm_command"),
        (lambda: actions.run_in_vm("-x"), "vm_command"),
    ],
)
def test_a_bad_request_is_refused_at_its_field(ask, field):
    with pytest.raises(Refused) as refused:
        ask()
    assert refused.value.field == field
    assert refused.value.what.endswith(".")


@pytest.mark.parametrize(
    ("action", "command"),
    [
        (
            actions.run("toolbox", name="web", network="shop", ports="8080:80, 53:53/udp"),
            "docker run -d --name web --network shop -p 8080:80 -p 53:53/udp toolbox",
        ),
        (
            actions.run("toolbox", command="sh -c 'echo a b'"),
            "docker run -d toolbox sh -c 'echo a b'",
        ),
        (
            actions.create_network("lan", "macvlan", parent="eth0", vlan=10, mode="private"),
            "docker network create -d macvlan -o parent=eth0.10 -o macvlan_mode=private lan",
        ),
        (
            actions.create_network("span", "overlay"),
            "docker network create -d overlay --attachable span",
        ),
        (
            actions.curl("web", "fd00::1", 8080),
            "docker exec web curl -sS -m 3 'http://[fd00::1]:8080'",
        ),
        (actions.remove("web"), "docker rm -f web"),
        # A network may be called anything but "".
        (actions.create_network("x"), "docker network create -d bridge x"),
        (actions.create_network("a b"), "docker network create -d bridge 'a b'"),
        (actions.create_network("-x"), "docker network create -d bridge -- -x"),
        (actions.connect("-x", "web"), "docker network connect -- -x web"),
        (actions.remove_network("-x"), "docker network rm -- -x"),
        (actions.shell("web"), "docker exec -it web sh"),
        (actions.disconnect("shop", "web"), "docker network disconnect shop web"),
    ],
)
def test_an_action_says_the_docker_command_that_does_the_same(action, command):
    assert str(action) == command


@pytest.mark.parametrize(
    ("ports", "bindings"),
    [
        ("8080:80, 53:53/udp", {"80": ["8080"], "53/udp": ["53"]}),
        ("80", {"80": [None]}),
        ("0:80", {"80": ["0"]}),
        ("8080:80 8081:80", {"80": ["8080", "8081"]}),
        ("127.0.0.1::80", {"80": [("127.0.0.1", None)]}),
        ("[::1]:8080:80/tcp", {"80/tcp": [("::1", "8080")]}),
        ("8000-8001:80-81", {"80": ["8000"], "81": ["8001"]}),
        ("8000-8005:80", {"80": ["8000-8005"]}),
    ],
)
def test_ports_are_published_as_docker_takes_them(ports, bindings):
    given = {}

    def create(*arguments, **options):
        given.update(options)
        return SimpleNamespace(id="1", start=lambda: None)

    client = SimpleNamespace(containers=SimpleNamespace(create=create))
    actions.run("toolbox", ports=ports).act(client)
    assert given["ports"] == bindings


@pytest.mark.parametrize(
    "ports",
    [
        "70000:80",
        "80-",
        "80-81:80-85",
        "a:80",
        "0",
        "1-70000:1-70000",
        # A list of all these ports would fill the memory.
        "1-9999999999:1-9999999999",
        "1-9999999999",
        "1" * 5000,
    ],
)
def test_ports_that_no_engine_publishes_are_refused(ports):
    with pytest.raises(Refused, match="is not a port that can be published"):
        actions.run("toolbox", ports=ports)


def test_a_terminal_needs_a_shell_in_the_container():
    found = SimpleNamespace(exec_run=lambda argv: (127, b"not found"))
    client = SimpleNamespace(containers=SimpleNamespace(get=lambda name: found))
    with pytest.raises(Refused, match="No shell starts in web") as refused:
        actions.shell("web").act(client)
    assert refused.value.field == "container"
    found.exec_run = lambda argv: (0, b"")
    assert actions.shell("web").act(client)


def test_a_virtual_machine_is_put_on_each_of_the_networks_that_are_offered():
    offered = actions.vm_networks(["br-1", "docker0"], ["eth0"])
    assert offered == ("user-mode NAT", "tap in br-1", "tap in docker0", "macvtap on eth0")
    lines = {network: [str(step) for step in actions.start_vm(network)] for network in offered}
    assert lines["user-mode NAT"] == ["vm start"]
    assert lines["tap in br-1"][1:] == ["ip link set tap0 master br-1 up", "vm start --tap tap0"]
    assert lines["macvtap on eth0"][0].startswith("ip link add macvtap0 link eth0 ")


def test_what_a_failed_start_left_is_made_anew():
    steps = [*map(str, actions.start_vm("tap in docker0", ["lo", "tap0", "docker0"]))]
    assert steps[:2] == ["ip link delete tap0", "ip tuntap add tap0 mode tap"]


def test_a_line_for_the_virtual_machine_is_one_word():
    step = actions.run_in_vm(" echo 'a b'; ls ")
    assert step.command == ("vm", "exec", "echo 'a b'; ls")


def test_what_an_engine_says_of_a_late_network_comes_with_what_to_do():
    said = (
        "failed to set up container networking: attaching to network failed, make sure your network"
        " options are correct and check manager logs: context deadline exceeded"
    )

    def act(client):
        raise APIError("500 Server Error", explanation=said)

    with pytest.raises(Refused) as refused:
        actions.perform(SimpleNamespace(client=None), actions.Action(("docker", "start"), act))
    assert refused.value.what.startswith("Attaching to network failed")
    assert "If this host has just joined" in refused.value.fix
