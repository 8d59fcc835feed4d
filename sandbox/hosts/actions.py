"""What a panel asks of a host's Engine: each action with the docker command that does the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxError, written

if TYPE_CHECKING:
    from docker import DockerClient

    from sandbox.hosts.host import Host

__all__ = [
    "DRIVERS",
    "MODES",
    "Action",
    "HostCommand",
    "Refused",
    "connect",
    "create_network",
    "curl",
    "disconnect",
    "execute",
    "join_swarm",
    "logs",
    "perform",
    "ping",
    "remove",
    "remove_network",
    "run",
    "run_in_vm",
    "shell",
    "start",
    "start_swarm",
    "start_vm",
    "stop",
    "stop_vm",
    "vm_networks",
]

# Drivers that make networks, and the modes that some have, the default first
# (https://docs.docker.com/engine/network/drivers/).
DRIVERS = ("bridge", "overlay", "macvlan", "ipvlan")
MODES = {
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
}
LOG_LINES = 50
STOP_SECONDS = 1
USER_MODE = "user-mode NAT"
# The interfaces that start_vm makes for a virtual machine, and stop_vm removes.
TAP, MACVTAP = "tap0", "macvtap0"
VM_SECONDS = 90.0
PROBE_SECONDS = 3

# Of containers: a network's may be anything
# (https://github.com/moby/moby/blob/v28.5.1/daemon/names/names.go).
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
# What the Engine says when something is wrong with one field.
_BLAME = (
    ("name", r"container name .* already in use|network with name .* already exists"
             r"|Invalid container name|invalid name|predefined"),
    ("image", r"No such image|invalid reference format|pull access denied|manifest unknown"),
    ("ports", r"port is already allocated|address already in use|invalid port"
              r"|cannot assign requested address|failed to bind host port"),
    ("command", r"executable file .*not found|exec: |unable to start container process"),
    ("parent", r"parent|interface .* not found|link not found|vlan|already using"),
    ("subnet", r"overlaps|invalid pool|subnet|address space|CIDR|prefix"),
    ("gateway", r"gateway"),
    ("mode", r"mode"),
    ("driver", r"swarm manager|swarm|plugin .* not found|driver"),
    ("network", r"network .* not found|network|endpoint"),
    ("container", r"No such container|is not running|container"),
)  # fmt: skip
# What passes a reason on adds its own words before it.
_LAYERS = re.compile(
    r"^.*(?:failed to set up container networking|failed to create task for container"
    r"|failed to create shim task|OCI runtime create failed): "
    r"|driver failed programming external connectivity on endpoint \S+ \(\w+\): "
)
# What to do about the commonest reasons.
_FIXES = (
    (r"container name .* already in use", "Choose another name, or remove that container."),
    (r"port is already allocated|address already in use", "Choose another port of the host."),
    (
        r"attaching to network failed",
        "If this host has just joined, it is still making the swarm's own networks: try again.",
    ),
    (r"not a swarm manager", "Make a swarm joins the hosts; its manager creates overlays."),
    (r"has active endpoints", "Disconnect or remove those containers first."),
    (r"overlaps", "Choose a subnet that no other network of this host has."),
    (r"No such image", "Choose toolbox: nothing is pulled from a registry here."),
    (r"vlan name|interface .* not found", "The host's own interface is eth0."),
)


class Refused(SandboxError):
    """Something that the Engine does not do, or that cannot be asked of it.

    field: which part of the request is at fault, such as ``name`` or ``ports``; "" if none is.
    """

    def __init__(self, field: str, what: str, *, fix: str = "") -> None:
        self.field = field
        super().__init__(what, fix=fix)


@dataclass(frozen=True, slots=True)
class Action:
    """command: the docker command as words.  act: does the same by the Engine's API.

    act gives what there is to show, or "".
    """

    command: tuple[str, ...]
    act: Callable[[DockerClient], str]

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class HostCommand:
    """A command on a host, as words. It shows what was printed."""

    command: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.command)


def perform(host: Host, action: Action | HostCommand) -> str:
    """Have that host, or its Engine, do it; gives what there is to show.

    Raises Refused with the Engine's own reason, SandboxError if it does not answer.
    """
    from docker.errors import APIError, DockerException

    if isinstance(action, HostCommand):
        result = host.run(action.command, timeout=VM_SECONDS)
        said = (result.stdout + result.stderr).strip()
        if result.code:
            raise Refused("", said or f"{action} ended with status {result.code}.")
        return said
    try:
        return action.act(host.client)
    except APIError as error:
        reason = _plain(error.explanation or str(error))
        fix = next((fix for said, fix in _FIXES if re.search(said, reason, re.IGNORECASE)), "")
        raise Refused(_blamed(reason, action), reason, fix=fix) from error
    except (DockerException, OSError) as error:
        raise SandboxError(
            f"The Docker Engine of {host.name} did not answer.",
            why=str(error),
            fix=f"put it back as new: {written('reset', host.sandbox_id)}",
        ) from error


def _plain(reason: str) -> str:
    """The Engine's reason without the layers that passed it on."""
    reason = _LAYERS.sub("", reason.strip())
    reason = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", reason)
    return reason[:1].upper() + reason[1:].rstrip(".") + "."


def _blamed(reason: str, action: Action) -> str:
    fields = {
        "run": ("name", "image", "ports", "command", "network"),
        "create": ("name", "parent", "subnet", "gateway", "mode", "driver"),
    }
    kind = "create" if action.command[1:3] == ("network", "create") else action.command[1]
    allowed = fields.get(kind, ("network", "container"))
    for field, pattern in _BLAME:
        if field in allowed and re.search(pattern, reason, re.IGNORECASE):
            return field
    return ""


def run(
    image: str, *, name: str = "", network: str = "", ports: str = "", command: str = ""
) -> Action:
    """``docker run -d``. ports: as ``-p`` takes them, with commas between: ``8080:80, 53/udp``.

    What could not be started is removed again. Raises Refused for what no Engine would take.
    """
    if not image.strip():
        raise Refused("image", "A container needs an image.", fix="Every host has toolbox.")
    _check_name(name)
    listed = _split(ports)
    published = [_port(text) for text in listed]
    if published and network in ("host", "none"):
        raise Refused(
            "ports",
            f"On the network {network} nothing is published.",
            fix="Leave ports empty, or choose another network.",
        )
    words = _words("command", command)
    argv = ["docker", "run", "-d"]
    argv += ["--name", name] if name else []
    argv += ["--network", network] if network else []
    for text in listed:
        argv += ["-p", text]

    def act(client: DockerClient) -> str:
        from docker.errors import APIError

        ports: dict[str, Any] = {}
        for bindings in published:
            for port, outer in bindings.items():
                ports.setdefault(port, []).extend(outer)
        special = network in ("host", "none") or network.startswith("container:")
        container = client.containers.create(
            image.strip(), words or None, name=name or None, ports=ports,
            **({"network_mode": network} if special else {"network": network or None}),
        )  # fmt: skip
        try:
            container.start()
        except APIError:
            container.remove(force=True)
            raise
        return container.id or ""

    return Action((*argv, image.strip(), *words), act)


def _check_name(name: str) -> None:
    if name and not _NAME.fullmatch(name):
        raise Refused(
            "name",
            f"{name!r} cannot be a name.",
            fix="It takes two or more letters and digits, and _ . - after the first.",
        )


def _words(field: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Refused(field, f"{error} in {text!r}.") from error


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _port(text: str) -> dict[str, Any]:
    """What ``-p`` takes, as the docker SDK does: ports of the container to their bindings."""
    from docker.utils.ports import build_port_bindings

    try:
        # Before the SDK makes a list of every port of a range.
        if any(int(number) > 65535 for number in re.findall(r"\d+", text)):
            raise ValueError
        found: dict[str, Any] = build_port_bindings([text])
        if any(int(port.partition("/")[0]) == 0 for port in found):
            raise ValueError
    except ValueError as error:
        raise Refused(
            "ports",
            f"{text!r} is not a port that can be published.",
            fix="Write 8080:80, 127.0.0.1:8080:80, 53:53/udp or 8000-8002:80-82, with ports from"
            " 1 to 65535.",
        ) from error
    outer = [binding for bindings in found.values() for binding in bindings]
    for address in {binding[0] for binding in outer if isinstance(binding, tuple)}:
        try:
            ip_address(address)
        except ValueError as error:
            raise Refused(
                "ports", f"{address!r} is not an address.", fix="Write one such as 127.0.0.1."
            ) from error
    return found


def create_network(
    name: str,
    driver: str = "bridge",
    *,
    subnet: str = "",
    gateway: str = "",
    parent: str = "",
    vlan: int | None = None,
    mode: str = "",
    internal: bool = False,
    ipv6: bool = False,
) -> Action:
    """``docker network create``.

    parent, mode: of macvlan and ipvlan.  vlan: 802.1q id; the parent is then ``eth0.10``.
    Raises Refused for what no Engine would take.
    """
    if not name.strip():
        raise Refused("name", "A network needs a name.")
    _check_subnet(subnet, gateway)
    options = {}
    if vlan is not None and not 1 <= vlan <= 4094:
        raise Refused("vlan", f"{vlan} is no VLAN id.", fix="IEEE 802.1Q has 1 to 4094.")
    if vlan is not None and not parent:
        raise Refused("parent", "A VLAN needs a parent interface.", fix="Write one such as eth0.")
    if parent and driver in MODES:
        options["parent"] = f"{parent}.{vlan}" if vlan is not None else parent
    if mode and driver in MODES:
        options[f"{driver}_mode"] = mode
    argv = ["docker", "network", "create", "-d", driver]
    argv += ["--subnet", subnet] if subnet else []
    argv += ["--gateway", gateway] if gateway else []
    argv += ["--internal"] if internal else []
    argv += ["--ipv6"] if ipv6 else []
    argv += ["--attachable"] if driver == "overlay" else []
    for key, value in options.items():
        argv += ["-o", f"{key}={value}"]

    def act(client: DockerClient) -> str:
        from docker.types import IPAMConfig, IPAMPool

        pools = [IPAMPool(subnet=subnet, gateway=gateway or None)] if subnet else []
        network = client.networks.create(
            name,
            driver=driver,
            options=options or None,
            ipam=IPAMConfig(pool_configs=pools) if pools else None,
            internal=internal,
            enable_ipv6=ipv6,
            attachable=driver == "overlay",
        )
        return network.id or ""

    return Action((*argv, *_operands(name)), act)


def _operands(*names: str) -> tuple[str, ...]:
    """Names as a command takes them, also where one begins as an option does."""
    return ("--", *names) if any(name.startswith("-") for name in names) else names


def _check_subnet(subnet: str, gateway: str) -> None:
    if gateway and not subnet:
        raise Refused(
            "subnet", "A gateway needs a subnet around it.", fix="Write one such as 10.5.0.0/24."
        )
    if not subnet:
        return
    try:
        around = ip_network(subnet)
    except ValueError as error:
        raise Refused("subnet", f"{error}.", fix="Write one such as 10.5.0.0/24.") from error
    try:
        if gateway and ip_address(gateway) not in around:
            raise Refused("gateway", f"{gateway} is not in {subnet}.")
    except ValueError as error:
        raise Refused("gateway", f"{error}.", fix="Write an address of the subnet.") from error


def remove_network(name: str) -> Action:
    """``docker network rm``."""
    return _to_network(("rm",), name, (), lambda network: network.remove())


def connect(network: str, container: str) -> Action:
    """``docker network connect``."""
    _chosen("container", container)
    return _to_network(("connect",), network, (container,), lambda it: it.connect(container))


def disconnect(network: str, container: str) -> Action:
    """``docker network disconnect``."""
    _chosen("container", container)
    return _to_network(("disconnect",), network, (container,), lambda it: it.disconnect(container))


def _to_network(
    words: tuple[str, ...], name: str, rest: tuple[str, ...], call: Callable[[Any], object]
) -> Action:
    _chosen("network", name)

    def act(client: DockerClient) -> str:
        call(client.networks.get(name))
        return ""

    return Action(("docker", "network", *words, *_operands(name, *rest)), act)


def start(container: str) -> Action:
    """``docker start``."""
    return _to_container(("start",), container, lambda it: it.start())


def stop(container: str) -> Action:
    """``docker stop``, with a second's grace: the toolbox's programs do not use more."""
    words = ("stop", "-t", str(STOP_SECONDS))
    return _to_container(words, container, lambda it: it.stop(timeout=STOP_SECONDS))


def remove(container: str) -> Action:
    """``docker rm -f``."""
    return _to_container(("rm", "-f"), container, lambda it: it.remove(force=True))


def logs(container: str) -> Action:
    """``docker logs``, the last lines."""

    def last_lines(found: Any) -> str:
        text = found.logs(tail=LOG_LINES).decode(errors="replace")
        return text or f"{container} has written nothing."

    return _to_container(("logs", "--tail", str(LOG_LINES)), container, last_lines)


def _to_container(words: tuple[str, ...], name: str, call: Callable[[Any], str | None]) -> Action:
    _chosen("container", name)

    def act(client: DockerClient) -> str:
        return call(client.containers.get(name)) or name

    return Action(("docker", *words, name), act)


def ping(container: str, to: str) -> Action:
    """Three echo requests from a container to a name or an address."""
    return execute(container, ["ping", "-c", "3", "-W", "1", _target(to)])


def curl(container: str, to: str, port: int = 80) -> Action:
    """An HTTP request from a container to a name or an address."""
    if not 0 < port < 65536:
        raise Refused("port", f"{port} is no TCP port.", fix="Ports go from 1 to 65535.")
    target = _target(to)
    host = f"[{target}]" if ":" in target else target
    url = f"http://{host}" if port == 80 else f"http://{host}:{port}"
    return execute(container, ["curl", "-sS", "-m", str(PROBE_SECONDS), url])


def _target(to: str) -> str:
    target = to.strip()
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", target) or target.startswith("-"):
        raise Refused(
            "to", f"{to!r} is no name and no address.", fix="Write one such as web or 172.18.0.2."
        )
    return target


def execute(container: str, argv: list[str]) -> Action:
    """``docker exec``. It shows what was printed, and a status other than 0 in a last line."""
    _chosen("container", container)

    def act(client: DockerClient) -> str:
        status, output = client.containers.get(container).exec_run(argv)
        said = output.decode(errors="replace").strip() if isinstance(output, bytes) else ""
        return f"{said}\n[status {status}]" if status else said

    return Action(("docker", "exec", container, *argv), act)


def shell(container: str) -> Action:
    """``docker exec -it … sh``: it proves that a shell starts, for a terminal to open one.

    Performing it raises Refused where none does.
    """
    _chosen("container", container)

    def act(client: DockerClient) -> str:
        status, _ = client.containers.get(container).exec_run(["sh", "-c", ":"])
        if status:
            raise Refused(
                "container",
                f"No shell starts in {container}: its image may have none.",
                fix="Open a terminal on the host, and enter the container's network alone: nsenter"
                f" --net -t $(docker inspect -f '{{{{.State.Pid}}}}' {shlex.quote(container)})",
            )
        return "It opens in a tab of its own."

    return Action(("docker", "exec", "-it", container, "sh"), act)


def start_swarm(address: str) -> Action:
    """``docker swarm init``: this host becomes a manager that others reach at address."""

    def act(client: DockerClient) -> str:
        client.swarm.init(advertise_addr=address)
        return ""

    return Action(("docker", "swarm", "init", "--advertise-addr", address), act)


def join_swarm(manager: Host, address: str) -> Action:
    """``docker swarm join`` as a worker, with the token that the manager gives at that moment."""
    remote = f"{address}:2377"

    def act(client: DockerClient) -> str:
        token = manager.client.swarm.attrs["JoinTokens"]["Worker"]
        client.swarm.join(remote_addrs=[remote], join_token=token)
        return f"TOKEN is what docker swarm join-token -q worker says on {manager.name}: {token}"

    return Action(("docker", "swarm", "join", "--token", "TOKEN", remote), act)


def _chosen(field: str, name: str) -> None:
    if not name:
        raise Refused(field, f"Choose a {field} first.")


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
