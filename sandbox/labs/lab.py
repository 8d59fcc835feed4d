"""What a lab is: a folder with a scenario, how it is set up, and tasks with their conditions."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sandbox.errors import SandboxError
from sandbox.labs.checks import Condition
from sandbox.labs.scenario import Draw

__all__ = ["COURSE", "HINT_COSTS", "Commands", "Hidden", "Lab", "Task", "load", "names"]

# What is taken off a task's points for its first hint, its second, and so on.
HINT_COSTS = (0.0, 0.1, 0.2, 0.5)
SECONDS = 180.0
COURSE = Path(__file__).parents[2] / "labs"
_NAME = re.compile(r"\d\d-[a-z0-9-]+")

# Shell lines by host: (("a", "docker network create shop"), …), in their order.
Commands = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Task:
    """Something to bring about.

    title: what, as an order without its full stop.  points: earned when all conditions hold.
    hints: up to four, each saying more than the one before: a nudge, where to look, the command
    to look with, the answer.  hidden: only a teacher's copy has it.
    """

    title: str
    points: int
    conditions: tuple[Condition, ...]
    hints: tuple[str, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab as one learner gets it.

    name: its folder's, such as ``01-two-tiers``.  learner: whose seed it has.  hosts: how many
    it needs.  minutes: how long it takes.  seconds: what a submission's cells may take when it
    is graded.  story: Markdown.  setup: what builds the scenario.  fault: what breaks it then,
    after what ``nothing_else_changed`` compares with.  questions: to be answered in words.
    facts: what the scenario drew.
    """

    name: str
    folder: Path
    learner: str
    title: str
    hosts: int
    minutes: int
    seconds: float
    story: str
    setup: Commands
    fault: Commands
    tasks: tuple[Task, ...]
    questions: tuple[str, ...]
    facts: Any

    @property
    def sandbox_hosts(self) -> int:
        """How many its sandbox has: two or more, as two are built for the lessons already."""
        return max(2, self.hosts)

    @property
    def points(self) -> int:
        """All that can be earned."""
        return sum(task.points for task in self.tasks)

    def hidden(self) -> Hidden | None:
        """What a student's copy does not hold; None in such a copy. Raises SandboxError."""
        path = self.folder / "hidden.py"
        if not path.exists():
            return None
        module = _module(path)
        return Hidden(
            _made(module, "solution", self.facts),
            _made(module, "answers", self.facts, {}),
            tuple(_made(module, "tasks", self.facts, ())),
            module,
            self.facts,
        )


@dataclass(frozen=True, slots=True)
class Hidden:
    """What only a teacher's copy holds.

    solution, answers: the reference.  tasks: more of them, checked when a submission is graded.
    """

    solution: Commands
    answers: Mapping[str, str]
    tasks: tuple[Task, ...]
    _source: ModuleType
    _facts: Any

    def wrong(self) -> tuple[Commands, Mapping[str, str], frozenset[str]]:
        """A plausible wrong answer: commands, answers, the titles of the tasks that it fails."""
        commands, answers, lost = _made(self._source, "wrong", self._facts)
        return commands, answers, frozenset(lost)


def names(root: Path = COURSE) -> list[str]:
    """Names of the labs there are, in order."""
    return sorted(path.parent.name for path in root.glob("*/lab.py"))


def load(name: str | None = None, learner: str = "", *, root: Path | None = None) -> Lab:
    """The lab of that name as that learner gets it.

    name: None for the one whose folder is the current one.  learner: any text that names the
    learner; the scenario follows from it.  root: the folder of labs; None for the current
    folder's own, or the course's. What grades names it: a submission may bring a lab.py.

    Raises SandboxError if there is no such lab, or its files are not in order.
    """
    folder = _folder(name, root)
    module = _module(folder / "lab.py")
    facts = _made(module, "scenario", Draw(f"{folder.name}/{learner}"))
    setup = _made(module, "setup", facts)
    return Lab(
        name=folder.name,
        folder=folder,
        learner=learner,
        title=_constant(module, "TITLE", str),
        hosts=_constant(module, "HOSTS", int),
        minutes=_constant(module, "MINUTES", int),
        seconds=float(getattr(module, "SECONDS", SECONDS)),
        story=_made(module, "story", facts),
        setup=setup,
        fault=_made(module, "fault", facts, ()),
        tasks=tuple(_made(module, "tasks", facts)),
        questions=tuple(_made(module, "questions", facts, ())),
        facts=facts,
    )


def _folder(name: str | None, root: Path | None) -> Path:
    here = Path.cwd()
    if name is None:
        if (here / "lab.py").exists():
            return here
        raise SandboxError(
            "No lab is named, and this folder has none.",
            fix=f'sandbox.lab("{(names() or ["01-two-tiers"])[0]}")',
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SandboxError(f"{name!r} is no lab's name.", fix=_known(root or COURSE))
    places = [root / name] if root else [here, here / name, here.parent / name, COURSE / name]
    for place in places:
        if place.name == name and (place / "lab.py").exists():
            return place
    raise SandboxError(f"There is no lab {name!r}.", fix=_known(root or COURSE))


def _known(root: Path) -> str:
    return f"There are {', '.join(names(root)) or 'none'}."


def _module(path: Path) -> ModuleType:
    return _loaded(path, path.stat().st_mtime_ns)


@functools.cache
def _loaded(path: Path, _version: int) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"lab_{path.parent.name}_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _broken(path, error) from error
    return module


_MISSING = object()


def _made(module: ModuleType, name: str, given: Any, default: Any = _MISSING) -> Any:
    make = getattr(module, name, None)
    if make is None:
        if default is _MISSING:
            raise _broken(Path(str(module.__file__)), f"it has no function {name}")
        return default
    try:
        return make(given)
    except Exception as error:
        raise _broken(Path(str(module.__file__)), error) from error


def _constant(module: ModuleType, name: str, kind: type) -> Any:
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        raise _broken(Path(str(module.__file__)), f"{name} is to be {kind.__name__}")
    return found


def _broken(path: Path, why: object) -> SandboxError:
    told = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    return SandboxError(
        f"{path.parent.name}/{path.name} is not in order.",
        why=told,
        fix="CONTRIBUTING.md says what a lab is made of.",
    )
