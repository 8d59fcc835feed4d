"""A swarm: ``docker swarm`` init and join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.hosts.actions.action import Action

if TYPE_CHECKING:
    from docker import DockerClient

    from sandbox.hosts.host import Host

__all__ = ["join_swarm", "start_swarm"]


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
