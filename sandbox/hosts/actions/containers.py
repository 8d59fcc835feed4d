"""Containers: ``docker`` run, start, stop, rm, logs, exec."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from sandbox.hosts.actions.action import Action
from sandbox.hosts.actions.refusals import Refused, chosen

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["execute", "logs", "remove", "run", "shell", "start", "stop"]

LOG_LINES = 50
STOP_SECONDS = 1
# Of containers: a network's may be anything
# (https://github.com/moby/moby/blob/v28.5.1/daemon/names/names.go).
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


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
            image.strip(),
            words or None,
            name=name or None,
            ports=ports,
            **({"network_mode": network} if special else {"network": network or None}),
        )
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
    chosen("container", name)

    def act(client: DockerClient) -> str:
        return call(client.containers.get(name)) or name

    return Action(("docker", *words, name), act)


def execute(container: str, argv: list[str]) -> Action:
    """``docker exec``. It shows what was printed, and a status other than 0 in a last line."""
    chosen("container", container)

    def act(client: DockerClient) -> str:
        status, output = client.containers.get(container).exec_run(argv)
        said = output.decode(errors="replace").strip() if isinstance(output, bytes) else ""
        return f"{said}\n[status {status}]" if status else said

    return Action(("docker", "exec", container, *argv), act)


def shell(container: str) -> Action:
    """``docker exec -it … sh``: it proves that a shell starts, for a terminal to open one.

    Performing it raises Refused where none does.
    """
    chosen("container", container)

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
