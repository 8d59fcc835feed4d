"""What the rest of the code knows about an engine: this interface and no more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from docker import DockerClient

    from sandbox.steps import Steps

__all__ = ["LABEL", "Engine", "EngineState", "OtherSandbox", "Recipe", "Report", "Site"]

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


@dataclass(frozen=True, slots=True)
class Report:
    """What ``doctor`` says of an engine.

    problem: as ``Engine.problem`` says it.  why: one line, why it can be used or why not.
    facts: for programs, as JSON takes them; ``packages`` among them is the hosts' whole list, and
        not in a bug report, which has a part of its own for it.
    lines: the same for people.  advice: what to do to get more from it.
    """

    problem: SandboxError | None
    why: str
    facts: Mapping[str, Any]
    lines: tuple[str, ...]
    advice: tuple[str, ...] = ()


class OtherSandbox(Exception):
    """A start found a sandbox that is not the one asked for, and left it alone.

    Its one argument is "", or what is wrong with it, as a clause that follows "because".
    """


class Engine(Protocol):
    """Where an outer Docker Engine comes from.

    A new engine is one module, with a subclass, and a line in the table of ``choose.py``. What is
    not abstract suits an engine that has nothing of that kind.

    name: as ``SANDBOX_ENGINE`` has it.  logs: what it logs, files in a sandbox's folder.
    """

    name: str
    logs: tuple[str, ...] = ()

    @abstractmethod
    def problem(self) -> SandboxError | None:
        """Why it cannot be used here and what to do; None if it can.

        Its ``what`` is a sentence that may follow "and", such as "No Docker can be used."
        """
        ...

    @abstractmethod
    def report(self) -> Report:
        """What ``doctor`` says of it. Raises SandboxError if that cannot be found out."""
        ...

    def elsewhere(self) -> str:
        """How to have hosts on an Engine and a kernel of their own; "" if these have them.

        Else there is one sandbox at a time, and its hosts have no more than that kernel has.
        """
        return ""

    def packages(self) -> list[str]:
        """One line for each thing that a bug report says of the hosts' packages."""
        return []

    @abstractmethod
    def build(self, recipe: Recipe, steps: Steps) -> str:
        """Make what a start needs, or find it made. Gives where it is, for people.

        Raises SandboxError if it cannot.
        """
        ...

    def pack(self, recipe: Recipe, folder: Path, steps: Steps) -> str:
        """Build, and write it to folder as one file, for WIRE_BY_WIRE_HOSTS; gives that file and
        what is in it, for people. Raises SandboxError if it cannot.
        """
        raise SandboxError("Only the embedded VM's files can be packed.", fix=self.elsewhere())

    def purge(self) -> list[str]:
        """Remove what ``build`` made, but for the course's cache; gives what that was, for people.

        Raises SandboxError if something is left.
        """
        return []

    @abstractmethod
    def start(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """Bring the sandbox up, or attach to it if it runs; return when the API answers.

        Raises SandboxError if it cannot, and OtherSandbox if one runs that was made in another
        way: only ``reset`` replaces what is there.
        """
        ...

    @abstractmethod
    def reset(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """Take the sandbox back to the state its recipe leads to; start it if it is down."""
        ...

    @abstractmethod
    def remove(self, sandbox_id: str) -> None:
        """Remove all that the sandbox has on it. Nothing to remove is no error.

        The sandbox's folder stays for ``choose.remove``: another engine's record may be there.

        Raises SandboxError, with what to do, if something is left.
        """
        ...

    @abstractmethod
    def state(self, sandbox_id: str) -> EngineState | None:
        """The running sandbox, or None. Never starts or waits for one."""
        ...

    def ended(self, sandbox_id: str) -> tuple[int, bool] | None:
        """Of a sandbox that ended though nobody removed it: how many hosts, whether internet."""
        return None

    def recorded(self, sandbox_id: str) -> bool:
        """Whether it may have something of the sandbox that needs no process of this machine."""
        return False

    def last_words(self, sandbox_id: str) -> str:
        """Why a sandbox that ran no longer does; "" if that is not known or it does.

        Raises SandboxError, the state's ``problem``, if there is one.
        """
        return ""

    @abstractmethod
    def host_url(self, sandbox_id: str, host: str) -> str:
        """Where the Engine API of that host answers, as docker.DockerClient takes it."""
        ...

    @abstractmethod
    def agent_path(self, sandbox_id: str, host: str) -> str:
        """Path of the unix socket on which that host's agent answers (``guest/agent.py``)."""
        ...
