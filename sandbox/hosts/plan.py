"""Docker-in-Docker hosts on an outer Engine: how they are named, addressed, made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.engine.base import Recipe, Site
from sandbox.errors import SandboxError, advice, expect
from sandbox.guest.addresses import LAN, LAN_GATEWAY, address, on_lan
from sandbox.steps import Steps

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

__all__ = [
    "LAN",
    "LAN_GATEWAY",
    "MOST_HOSTS",
    "address",
    "full_name",
    "names",
    "on_lan",
    "recipe",
]

MOST_HOSTS = 4
# It ends a wait for what will never come. A host takes about 20 s on a quiet machine; on two
# processors with eight other busy programs it was still unpacking its image after 180 s.
READY_SECONDS = 600.0
# One command waits for this long: a new one for each look would slow down what it waits for.
LOOK_SECONDS = 20
# The first container of a host is slow; a learner's should not be that one.
WARM_UP = ["docker", "run", "--rm", "toolbox", "true"]


def names(count: int) -> tuple[str, ...]:
    """Names of that many hosts: ``("host-a", "host-b")``. Raises SandboxError if not 1 to 4."""
    if type(count) is not int or not 1 <= count <= MOST_HOSTS:
        raise SandboxError(
            f"A sandbox has 1 to {MOST_HOSTS} hosts, not {count!r}.",
            fix=advice("sandbox.up(hosts=2)", "write --hosts 2"),
        )
    return tuple(f"host-{letter}" for letter in "abcd"[:count])


def full_name(name: str) -> str:
    """``host-a`` for ``a``, ``A`` or ``host-a``."""
    expect(name, str, "a host's name", 'write it in quotes: "a"')
    short = name.strip().lower().removeprefix("host-")
    return f"host-{short}"


def dockerd_arguments(host: str, *, gateway_dns: bool = True) -> list[str]:
    """The host's dockerd options: subnets that no other host, nor the LAN, uses.

    host-a has 172.17.0.0/16 for docker0 and /24s of 172.18.0.0/15 for its other networks, as
    close to Docker's own defaults as four hosts allow; host-b starts at 172.21, and so on.
    gateway_dns: whether its containers ask the LAN's gateway for names.
    """
    first = 17 + 4 * "abcd".index(host[-1])
    return [
        f"--bip=172.{first}.0.1/16",
        f"--default-address-pool=base=172.{first + 1}.0.0/16,size=24",
        f"--default-address-pool=base=172.{first + 2}.0.0/16,size=24",
        *([f"--dns={LAN_GATEWAY}"] if gateway_dns else []),
        "--add-runtime=crun=/usr/bin/crun",
        "--default-runtime=crun",
    ]


def recipe(count: int) -> Recipe:
    """How a sandbox with that many hosts comes about. Raises SandboxError if not 1 to 4."""
    hosts = names(count)

    def prepare(client: DockerClient, site: Site, steps: Steps) -> None:
        make(client, site, hosts, steps)

    def await_ready(client: DockerClient, site: Site) -> None:
        for host in hosts:
            _await_ready(client.containers.get(f"{site.scope}{host}"), host)

    return Recipe(_key(hosts), hosts, LAN, prepare, await_ready)


def _key(hosts: tuple[str, ...]) -> str:
    """All that an Engine is asked for to make those hosts, wherever that is."""
    sites = [Site("", {}, "", closed=on, gateway_dns=on) for on in (True, False)]
    asked = [[_lan(site), *(_host(site, host) for host in hosts)] for site in sites]
    return repr((LAN, LAN_GATEWAY, asked, WARM_UP))


def make(client: DockerClient, site: Site, hosts: tuple[str, ...], steps: Steps) -> None:
    """Make the LAN and the hosts, and wait until each runs containers. Raises SandboxError."""
    from docker.types import IPAMConfig, IPAMPool

    pool = IPAMPool(subnet=LAN, gateway=LAN_GATEWAY)
    client.networks.create(**_lan(site), ipam=IPAMConfig(pool_configs=[pool]))
    # A starting host keeps a processor busy. With more of them at once than processors, each takes
    # so long that its dockerd gives up on its containerd.
    at_once = client.info()["NCPU"]
    for first in range(0, len(hosts), at_once):
        some = hosts[first : first + at_once]
        containers = [_start(client, site, host) for host in some]
        for host, container in zip(some, containers, strict=True):
            steps.begin(f"Waiting for {host}")
            _await_ready(container, host)
            status, output = container.exec_run(WARM_UP)
            if status:
                raise SandboxError(f"{host} runs no containers.", why=_text(output))


def _lan(site: Site) -> dict[str, Any]:
    """What docker-py's ``networks.create`` takes for the LAN, its addresses aside."""
    return {
        "name": f"{site.scope}lan",
        "driver": "bridge",
        "labels": dict(site.labels),
        "internal": site.closed,
    }


def _host(site: Site, host: str) -> dict[str, dict[str, Any]]:
    """What docker-py takes for that host: its volume, its container, its place on the LAN."""
    volume, labels = f"{site.scope}{host}-data", dict(site.labels)
    return {
        "volume": {"name": volume, "labels": labels},
        "container": {
            "image": site.image,
            "command": dockerd_arguments(host, gateway_dns=site.gateway_dns),
            "name": f"{site.scope}{host}",
            "hostname": host,
            "entrypoint": ["docker-init", "--", "/usr/lib/wire-by-wire/host-entrypoint"],
            "labels": labels,
        },
        "host_config": {
            "privileged": True,
            # An Engine with userns-remap refuses privileged containers otherwise.
            "userns_mode": "host",
            # Only the kernel that runs knows its modules; ip_vs and vxlan are among them.
            "binds": [f"{volume}:/var/lib/docker", "/lib/modules:/lib/modules:ro"],
            "tmpfs": {"/run": "", "/tmp": ""},
            "network_mode": f"{site.scope}lan",
        },
        "endpoint": {"ipv4_address": address(host), "aliases": [host]},
    }


def _start(client: DockerClient, site: Site, host: str) -> Container:
    asked = _host(site, host)
    client.volumes.create(**asked["volume"])
    endpoint = client.api.create_endpoint_config(**asked["endpoint"])
    created = client.api.create_container(
        **asked["container"],
        host_config=client.api.create_host_config(**asked["host_config"]),
        networking_config={"EndpointsConfig": {_lan(site)["name"]: endpoint}},
    )
    container = client.containers.get(created["Id"])
    container.start()
    return container


def _await_ready(container: Container, host: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    wait = "until [ -e /run/wire-by-wire/ready ]; do sleep 0.2; done"
    while time.monotonic() < deadline:
        if container.exec_run(["timeout", str(LOOK_SECONDS), "sh", "-c", wait])[0] == 0:
            return
    log = _text(container.exec_run(["tail", "-n", "3", "/var/log/dockerd.log"])[1])
    raise SandboxError(f"{host} was not ready within {READY_SECONDS:.0f} s.", why=log)


def _text(output: object) -> str:
    return output.decode(errors="replace").strip() if isinstance(output, bytes) else ""
