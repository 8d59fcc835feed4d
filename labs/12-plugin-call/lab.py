"""A network driver plugin that lacks one call of the protocol."""

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface

from sandbox.labs import (
    Condition,
    Draw,
    Scene,
    Task,
    check,
    holds,
    network,
    reaches,
    resolves,
    runs,
    same_l2,
)
from sandbox.model.state import Interface

TITLE = "Write the call that a network driver lacks"
HOSTS = 1
MINUTES = 35

# Answers Docker over HTTP; nothing in it is to be changed.
PLUGIN = '''\
"""Answer what Docker asks of a plugin on a unix socket, and log each call."""
import json, os
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer

class Call(BaseHTTPRequestHandler):
    def do_POST(self):
        name = self.path.lstrip("/")
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "{}")
        print(name, json.dumps(request), flush=True)
        status, answer = 200, {}
        if name not in self.server.answers:
            print(name, "has no answer", flush=True)
            status, answer = 404, {"Err": "this driver has no answer to " + name}
        else:
            try:
                answer = self.server.answers[name](request)
            except Exception as error:
                answer = {"Err": repr(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

def serve(name, answers):
    """answers: by the name of a call a function from its request to its answer."""
    path = f"/run/docker/plugins/{name}.sock"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.remove(path)
    with ThreadingUnixStreamServer(path, Call) as server:
        server.answers = answers
        server.serve_forever()
'''

DRIVER = '''\
"""The network driver NAME: a bridge for each network, a veth pair for each endpoint."""
import subprocess
import plugin

def run(*words):
    subprocess.run(words, check=True)

def bridge(request):
    return "wb" + request["NetworkID"][:8]

def outside(request):
    """The end of an endpoint's veth pair that stays on the host, as a port of the bridge."""
    return "out" + request["EndpointID"][:8]

def create_network(request):
    run("ip", "link", "add", bridge(request), "type", "bridge")
    run("ip", "link", "set", bridge(request), "up")
    return {}

def delete_network(request):
    run("ip", "link", "del", bridge(request))
    return {}

def delete_endpoint(request):
    # With one end goes the other. There is no pair if the container never came to start.
    subprocess.run(["ip", "link", "del", outside(request)])
    return {}

ANSWERS = {
    "Plugin.Activate": lambda request: {"Implements": ["NetworkDriver"]},
    "NetworkDriver.GetCapabilities": lambda request: {"Scope": "local"},
    "NetworkDriver.CreateNetwork": create_network,
    "NetworkDriver.CreateEndpoint": lambda request: {},
    "NetworkDriver.EndpointOperInfo": lambda request: {},
    "NetworkDriver.Leave": lambda request: {},
    "NetworkDriver.DeleteEndpoint": delete_endpoint,
    "NetworkDriver.DeleteNetwork": delete_network,
}
if __name__ == "__main__":
    plugin.serve("NAME", ANSWERS)
'''

START = """\
#!/bin/sh
# Starts the driver, in the place of one that runs.
cd /opt/NAME || exit
socket=/run/docker/plugins/NAME.sock log=/var/log/NAME.log
[ -f /run/NAME.pid ] && kill "$(cat /run/NAME.pid)" 2> /dev/null
rm -f $socket
python3 driver.py > $log 2>&1 < /dev/null 9>&- &
echo $! > /run/NAME.pid
tries=0
until [ -S $socket ]; do
    if [ $tries -ge 300 ] || ! kill -0 "$(cat /run/NAME.pid)" 2> /dev/null; then
        echo "the driver does not start:"
        tail -n 3 $log
        exit 1
    fi
    sleep 0.1
    tries=$((tries + 1))
done
echo "NAME listens at $socket"
"""


@dataclass(frozen=True)
class Facts:
    driver: str
    net: str
    web: str
    client: str
    prefix: str
    subnet: IPv4Network


def scenario(draw: Draw) -> Facts:
    return Facts(
        driver=draw.word(),
        net=f"net-{draw.word()}",
        web=f"web-{draw.word()}",
        client=f"client-{draw.word()}",
        prefix=draw.word(),
        subnet=draw.subnet(),
    )


def story(it: Facts) -> str:
    return f"""
A colleague has left a network driver for Docker, `{it.driver}`, before it was done. It runs on
**host-a**, and Docker takes it for a driver; but **one call** of the protocol has no answer yet, so
that no container starts on its networks.

- `/opt/{it.driver}/driver.py` holds the driver's answers. It is the file to complete; what it has
  already is right.
- `/opt/{it.driver}/plugin.py` serves them to Docker. It is complete.
- `sh /opt/{it.driver}/start` starts the driver anew, with the file as it is then.
- `/var/log/{it.driver}.log` has every call since that start, with Docker's request.

What the driver is to do: each network has a bridge, and each container a veth pair, with one end as
a port of that bridge. The end inside is to be called `{it.prefix}0`. Nothing leads out of these
networks: a container is on nothing else, the bridge `docker_gwbridge` included.

Complete the driver. Then make a network `{it.net}` by it, with the subnet `{it.subnet}`, and run
two containers of the image `toolbox` on that, `{it.web}` and `{it.client}`.

The calls and the fields of their answers: [lesson 07](../../lessons/07-plugins.ipynb), and
[moby: remote drivers](https://github.com/moby/moby/blob/v28.5.2/libnetwork/docs/remote.md).
To write the file by a cell, begin it with `%%host a --save /opt/{it.driver}/driver.py`.
"""


def setup(it: Facts) -> list[tuple[str, str]]:
    files = (("plugin.py", PLUGIN), ("driver.py", DRIVER), ("start", START))
    written = "".join(
        f"cat > /opt/{it.driver}/{name} << 'END_OF_FILE'\n"
        f"{text.replace('NAME', it.driver)}END_OF_FILE\n"
        for name, text in files
    )
    return [("a", f"mkdir -p /opt/{it.driver}\n{written}sh /opt/{it.driver}/start")]


def ports(scene: Scene, place: str) -> list[Interface]:
    return [it for it in scene.namespace(place).interfaces if it.kind != "loopback"]


def is_called(place: str, name: str, subnet: IPv4Network) -> Condition:
    """The place has an interface of that name, with an address of that subnet."""

    def fn(scene: Scene) -> tuple[bool, str]:
        found = ports(scene, place)
        right = any(
            port.name == name and any(ip_interface(it).ip in subnet for it in port.assigned)
            for port in found
        )
        told = [" ".join((port.name, *port.assigned)) for port in found]
        return right, f"it has {', '.join(told) or 'no interface'}"

    wanted = f"{place} has an interface {name} with an address of {subnet}"
    return holds(wanted, fn, places=[place])


def is_on_nothing_else(place: str, subnet: IPv4Network) -> Condition:
    """The place has one interface, with an address of that subnet and no other."""

    def fn(scene: Scene) -> tuple[bool, str]:
        found = ports(scene, place)
        addresses = [it for port in found for it in port.assigned]
        inside = all(ip_interface(it).ip in subnet for it in addresses)
        right = len(found) == 1 and bool(addresses) and inside
        told = [" ".join((port.name, *port.assigned)) for port in found]
        return right, f"it has {', '.join(told) or 'no interface'}"

    return holds(f"{place} is on {subnet} and on nothing else", fn, places=[place])


def tasks(it: Facts) -> tuple[Task, ...]:
    return (
        check(
            f"Make {it.net} by the driver {it.driver}",
            15,
            network(it.net, host="a").driver_is(it.driver).subnet_is(it.subnet),
            hints=(
                "A plugin's name is a driver's name, as bridge is.",
                "The driver has all that it takes to make a network, as its log shows.",
                f"ls /run/docker/plugins; cat /var/log/{it.driver}.log",
                f"docker network create -d {it.driver} --subnet {it.subnet} {it.net}",
            ),
        ),
        check(
            f"Give {it.web} and {it.client} an interface {it.prefix}0",
            30,
            runs(it.web, host="a", image="toolbox"),
            runs(it.client, host="a", image="toolbox"),
            network(it.net, host="a").has(it.web, it.client),
            is_called(it.web, f"{it.prefix}0", it.subnet),
            is_called(it.client, f"{it.prefix}0", it.subnet),
            hints=(
                "Try to run a container, and read what Docker says.",
                "NetworkDriver.Join asks which interface Docker is to move into the container. "
                "Docker names it by a prefix that the answer gives, and a number.",
                f"grep 'has no answer' /var/log/{it.driver}.log; lesson 07 has a table of the "
                "calls.",
                'Add "NetworkDriver.Join": join to ANSWERS. The function join makes a veth pair '
                'with the ends outside(request) and "in" + request["EndpointID"][:8], and returns '
                '{"InterfaceName": {"SrcName": NAME OF THE INNER END, "DstPrefix": '
                f'"{it.prefix}"}}, "DisableGatewayService": True}}. Then sh '
                f"/opt/{it.driver}/start, and docker run -d --name {it.web} --network {it.net} "
                "toolbox. A container of an earlier try is in the way: docker rm -f it.",
            ),
        ),
        check(
            f"Let {it.client} reach {it.web} by its name",
            30,
            resolves(it.client, it.web, to=it.web),
            reaches(it.client, it.web, tcp=80, by=it.web),
            same_l2(it.client, it.web),
            network(it.net, host="a").driver_is(it.driver),
            hints=(
                "Each container's wire needs another end.",
                "Is the outer end of each veth pair a port of the network's bridge, and switched "
                "on?",
                "bridge link; ip -br link show type veth",
                'In join: run("ip", "link", "set", outside(request), "master", bridge(request), '
                '"up"). Containers that run have the old wire: docker restart them.',
            ),
        ),
        check(
            "Leave no other way in or out",
            25,
            network(it.net, host="a").driver_is(it.driver).has(it.web, it.client),
            is_on_nothing_else(it.web, it.subnet),
            is_on_nothing_else(it.client, it.subnet),
            hints=(
                "Count the interfaces of a container.",
                "A driver that names no gateway gets docker_gwbridge for its containers, unless "
                "its answer to Join says that it wants none.",
                f"docker exec {it.web} ip -br address; docker exec {it.web} ip route",
                'Add "DisableGatewayService": True to the answer to Join, start the driver anew, '
                "and docker restart the containers.",
            ),
        ),
    )
