"""An action is a docker command and what does the same by the Engine's API."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError, written
from sandbox.hosts.actions.refusals import Refused, refused

if TYPE_CHECKING:
    from docker import DockerClient

    from sandbox.hosts.host import Host

__all__ = ["Action", "HostCommand", "perform"]

VM_SECONDS = 90.0


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
        raise refused(error.explanation or str(error), action.command) from error
    except (DockerException, OSError) as error:
        raise SandboxError(
            f"The Docker Engine of {host.name} did not answer.",
            why=str(error),
            fix=f"put it back as new: {written('reset', host.sandbox_id)}",
        ) from error
