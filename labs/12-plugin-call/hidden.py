"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.labs import NotThere, Task, check, holds
from sandbox.labs.scene import Scene

JOIN = """\
def join(request):
    inside = "in" + request["EndpointID"][:8]
    run("ip", "link", "add", outside(request), "type", "veth", "peer", "name", inside)
    run("ip", "link", "set", outside(request), "master", bridge(request), "up")
    return {"InterfaceName": {"SrcName": inside, "DstPrefix": "PREFIX"},
            "DisableGatewayService": True}

"""


def build(it, prefix: str) -> list[tuple[str, str]]:
    path = f"/opt/{it.driver}/driver.py"
    return [
        (
            "a",
            f"cat > /root/join.py << 'END_OF_FILE'\n{JOIN.replace('PREFIX', prefix)}END_OF_FILE\n"
            "cat > /root/complete.py << 'END_OF_FILE'\n"
            f"text = open('{path}').read()\n"
            "join = open('/root/join.py').read()\n"
            "before, answers = text.split('ANSWERS = {\\n')\n"
            """entry = '    "NetworkDriver.Join": join,\\n'\n"""
            f"open('{path}', 'w').write(before + join + 'ANSWERS = {{\\n' + entry + answers)\n"
            "END_OF_FILE\n"
            "python3 /root/complete.py\n"
            f"sh /opt/{it.driver}/start",
        ),
        (
            "a",
            f"docker network create -d {it.driver} --subnet {it.subnet} {it.net}\n"
            f"docker run -d --name {it.web} --network {it.net} toolbox\n"
            f"docker run -d --name {it.client} --network {it.net} toolbox",
        ),
    ]


def solution(it) -> list[tuple[str, str]]:
    return build(it, it.prefix)


def wrong(it):
    """Lesson 07's answer as it stands there, with eth for the interface's name."""
    lost = {f"Give {it.web} and {it.client} an interface {it.prefix}0"}
    return build(it, "eth"), {}, lost


def tasks(it) -> tuple[Task, ...]:
    def is_plugged(scene: Scene) -> tuple[bool, str]:
        state = scene.host("a")
        found = state.network(it.net)
        if found is None:
            raise NotThere(f"there is no network {it.net}")
        outer = [
            port.peer
            for place in (it.web, it.client)
            for port in scene.namespace(place).interfaces
            if port.kind == "veth"
        ]
        own = state.namespace
        ends = [own.interface(peer.name) for peer in outer if peer and own]
        told = [f"{end.name} in {end.master or 'nothing'}" for end in ends if end]
        wanted = [f"wb{found.id[:8]}"] * 2
        return [end.master for end in ends if end] == wanted, ", ".join(told) or "no veth pair"

    def is_named(scene: Scene) -> tuple[bool, str]:
        outer = {
            scene.container(place).endpoints[0].id[:8]: port.peer
            for place in (it.web, it.client)
            for port in scene.namespace(place).interfaces
            if port.kind == "veth"
        }
        right = [peer is not None and peer.name == f"out{id}" for id, peer in outer.items()]
        told = ", ".join(peer.name for peer in outer.values() if peer)
        return len(right) == 2 and all(right), f"the outer ends are {told or 'not there'}"

    return (
        check(
            "The wires are as the rest of the driver expects them",
            10,
            holds(f"the outer ends are ports of the bridge of {it.net}", is_plugged),
            holds("the outer ends have the names by which they are deleted", is_named),
        ),
    )
