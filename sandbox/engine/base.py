"""What the rest of the code knows about an engine: this interface and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from docker import DockerClient

    from sandbox.errors import SandboxError
    from sandbox.steps import Steps

__all__ = ["LABEL", "Engine", "EngineState", "OtherSandbox", "Recipe", "Site"]

# Carried by everything that a sandbox makes on an outer Engine; its value is the sandbox's id.
LABEL = "wire-by-wire.sandbox"


@dataclass(frozen=True, slots=True)
class Site:
    """Where on an outer Engine a sandbox is made.

    scope: goes before the name of everything made there, such as ``wbw-default-``;
        "" where the Engine is the sandbox's own.
    labels: go on everything made there.
    image: the image that hosts run.
    closed: whether the Engine is to keep the LAN from every other network.
    gateway_dns: whether the hosts' containers ask the LAN's gateway for names. It refuses at
        once when there is no way out; with one, only the VM's passes questions on.
    """

    scope: str
    labels: Mapping[str, str]
    image: str
    closed: bool = False
    gateway_dns: bool = True


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to bring an empty Engine to the state that a sandbox starts from.

    key: names that state; two recipes with one key lead to the same state.
    hosts: names of the Docker-in-Docker hosts that it makes, such as ``("host-a", "host-b")``.
    lan: the subnet that they share.
    prepare: makes them on the outer Engine and returns when they answer.
    await_ready: returns when those that are there already answer.
    """

    key: str
    hosts: tuple[str, ...]
    lan: str
    prepare: Callable[[DockerClient, Site, Steps], None]
    await_ready: Callable[[DockerClient, Site], None]


@dataclass(frozen=True, slots=True)
class EngineState:
    """A sandbox's outer Engine, running.

    base_url: where its API answers, as docker.DockerClient takes it.
    site: where on that Engine the sandbox is.
    detail: one line for people, such as ``QEMU 7.2, TCG, 1024 MB``.
    pid: the VM's process; 0 where there is none.
    hosts: names of its hosts.  internet: whether they may reach beyond the sandbox.
    problem: what keeps it from answering now and what to do about it, or None.
    """

    base_url: str
    site: Site
    detail: str
    pid: int
    hosts: tuple[str, ...]
    internet: bool
    problem: SandboxError | None = None


class OtherSandbox(Exception):
    """A start found a sandbox that is not the one asked for, and left it alone.

    Its one argument is "", or what is wrong with it, as a clause that follows "because".
    """


class Engine(Protocol):
    """Where an outer Docker Engine comes from. A new engine is one module with this shape."""

    name: str

    def build(self, recipe: Recipe, steps: Steps) -> str:
        """Make what a start needs, or find it made. Gives where it is, for people.

        Raises SandboxError if it cannot.
        """
        ...

    def start(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """Bring the sandbox up, or attach to it if it runs; return when the API answers.

        Raises SandboxError if it cannot, and OtherSandbox if one runs that was made in another
        way: only ``reset`` replaces what is there.
        """
        ...

    def reset(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """Take the sandbox back to the state its recipe leads to; start it if it is down."""
        ...

    def remove(self, sandbox_id: str) -> None:
        """Remove everything of the sandbox. Nothing to remove is no error."""
        ...

    def state(self, sandbox_id: str) -> EngineState | None:
        """The running sandbox, or None. Never starts or waits for one."""
        ...

    def last_words(self, sandbox_id: str) -> str:
        """Why a sandbox that ran no longer does; "" if that is not known or it does.

        Raises SandboxError, the state's ``problem``, if there is one.
        """
        ...

    def host_url(self, sandbox_id: str, host: str) -> str:
        """Where the Engine API of that host answers, as docker.DockerClient takes it."""
        ...

    def agent_path(self, sandbox_id: str, host: str) -> str:
        """Path of the unix socket on which that host's agent answers (``guest/agent.py``)."""
        ...
