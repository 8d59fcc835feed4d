"""A sandbox: Docker hosts on a network of their own, brought up, found again, put back."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sandbox import record
from sandbox.engine import choose as engines
from sandbox.engine import companion
from sandbox.engine.base import OtherSandbox
from sandbox.errors import SandboxError, advice, default_id, expect, setting, written
from sandbox.hosts import capabilities, plan
from sandbox.hosts.host import Host
from sandbox.paths import ID, explained
from sandbox.steps import Steps, best

if TYPE_CHECKING:
    from sandbox.engine.base import Engine, EngineState, Recipe
    from sandbox.model.state import HostState, Snapshot

__all__ = [
    "LEAVE_LAB",
    "Sandbox",
    "as_new",
    "ask_before",
    "default_id",
    "down",
    "find",
    "find_with_state",
    "host",
    "keep_lab",
    "lab_on",
    "reset",
    "resets",
    "running",
    "settled",
    "snapshot",
    "up",
]

SETTLE_SECONDS = 3.0
# Networks that an Engine makes by itself, with swarm or without.
OWN_NETWORKS = {"bridge", "host", "none", "docker_gwbridge", "ingress"}
# On each host while a lab is set up on it: the lab's name, "/", more. A host as new has none.
LAB_MARKER = "/run/wire-by-wire/lab"
# What gives a lab up, in Python and in a shell.
LEAVE_LAB = ("leave_lab=True", "--leave-lab")
# How often each sandbox was put back as new from here; views forget what was before.
resets: Counter[str] = Counter()


class Sandbox:
    """A running sandbox. id: its name.  hosts: the names of its hosts."""

    def __init__(self, sandbox_id: str, engine: Engine, recipe: Recipe, internet: bool) -> None:
        self.id, self.hosts = sandbox_id, recipe.hosts
        self.engine, self.internet = engine.name, internet
        self._engine, self._recipe = engine, recipe

    def __repr__(self) -> str:
        listed = ", ".join(f"{name} {plan.address(name)}" for name in self.hosts)
        return f"<Sandbox {self.id}: {listed}>"

    def host(self, name: str) -> Host:
        """The host of that name, ``a`` or ``host-a``. Raises SandboxError if there is none."""
        full = plan.full_name(name)
        if full not in self.hosts:
            fix = f"it has {', '.join(self.hosts)}"
            if full in (most := plan.names(plan.MOST_HOSTS)):
                more = as_new(self.id, most.index(full) + 1, self.internet)
                fix += f"; to replace all that is in it by a sandbox that has it: {more}"
            raise SandboxError(f"There is no host {name!r} in this sandbox.", fix=fix)
        return Host(
            full,
            plan.address(full),
            self._engine.host_url(self.id, full),
            self._engine.agent_path(self.id, full),
            lambda: self._engine.last_words(self.id),
            sandbox_id=self.id,
        )

    def snapshot(self, names: tuple[str, ...] | None = None) -> Snapshot:
        """See ``sandbox.snapshot``. names: full names of hosts; None for all."""
        from sandbox.model.state import Snapshot

        taken = time.time()
        with ThreadPoolExecutor() as pool:
            states = tuple(pool.map(self._state, names or self.hosts))
        return Snapshot(taken, plan.LAN, states)

    def _state(self, name: str) -> HostState:
        from sandbox.model.read import read_host, unreachable

        host = self.host(name)
        try:
            return read_host(name, host.address, host.read_state())
        except SandboxError as error:
            return unreachable(name, host.address, str(error))

    @explained()
    def reset(self, steps: Steps | None = None, *, leave_lab: bool = False) -> None:
        """Take every host back to how it was when the sandbox was new.

        leave_lab: even though you have begun a lab on them and not finished it.

        Raises SandboxError.
        """
        if not leave_lab:
            ask_before(self.id, written("reset", self.id, LEAVE_LAB))
        shown = steps or best()
        self._engine.reset(self.id, self._recipe, internet=self.internet, steps=shown)
        resets[self.id] += 1
        shown.done(f"{_listed(self.hosts)} as new")

    @explained()
    def down(self, *, leave_lab: bool = False) -> None:
        """Remove the sandbox and everything in it. leave_lab: see ``reset``."""
        if not leave_lab:
            ask_before(self.id, written("down", self.id, LEAVE_LAB))
        engines.remove(self.id)


@explained()
def up(
    hosts: int = 2,
    *,
    needs: Iterable[str] = (),
    internet: bool = False,
    fresh: bool = False,
    leave_lab: bool = False,
    id: str | None = None,
    steps: Steps | None = None,
) -> Sandbox:
    """Bring up a sandbox, or attach to the one that runs already.

    hosts: how many Docker hosts, 1 to 4.
    needs: capabilities that a host must have, such as ``{"ipvlan", "ipvs"}``.
    internet: let the hosts reach the networks of this machine, and on the VM engine also what
        listens on this machine's loopback, at 198.19.255.2 (QEMU, user networking). Without it,
        they only reach each other.
    fresh: exactly that many, as new, whatever is in those that run; without it, those that run
        already stay as they are, and there may be more of them.
    leave_lab: replace the hosts even though you have begun a lab on them and not finished it.
    id: a name, when several sandboxes run beside each other.

    Raises SandboxError when no engine works here, when a need is not met, when a lab is under way
    on hosts that would be replaced, and without ``fresh`` when the sandbox that runs would have to
    be replaced: it has fewer hosts, the other ``internet``, or was started by another version of
    the course. It then goes on as it is.
    """
    sandbox_id = _checked(id)
    needs = capabilities.checked(needs)
    shown = steps or best()
    recipe = plan.recipe(hosts)
    found = find(sandbox_id)
    if found and not fresh and found.internet == internet and len(found.hosts) >= hosts:
        recipe = plan.recipe(len(found.hosts))
    if not found and not fresh and companion.unreachable(sandbox_id):
        raise SandboxError(
            f"The sandbox {sandbox_id!r} runs, but nothing can reach it any more.",
            why="the folder of its sockets is gone; logging out may remove it",
            fix=f"to replace the sandbox and all in it: {as_new(sandbox_id, hosts, internet)}",
        )
    if found and fresh and not leave_lab:
        keep_lab(found, as_new(sandbox_id, hosts, internet, leave_lab=True))
    engine = engines.choose(sandbox_id, found.engine if found else "")
    renew = fresh and found
    if renew:
        resets[sandbox_id] += 1
    act = engine.reset if renew else engine.start
    try:
        act(sandbox_id, recipe, internet=internet, steps=shown)
    except OtherSandbox as other:
        found = found or find(sandbox_id)
        raise _other(sandbox_id, found, hosts, internet, str(other)) from None
    sandbox = Sandbox(sandbox_id, engine, recipe, internet)
    if needs:
        shown.begin("Trying what the hosts can do")
        capabilities.require(sandbox.host("a"), needs, engine.elsewhere())
    reach = "; they reach this machine's networks and its loopback" if internet else ""
    shown.done(f"{_listed(sandbox.hosts)} up{reach}")
    return sandbox


def as_new(sandbox_id: str, hosts: int, internet: bool, *, leave_lab: bool = False) -> str:
    """How to have exactly those hosts as new, as it is written where this is read."""
    given = [(f"{hosts}", f"--hosts {hosts}")]
    given += [("internet=True", "--internet")] if internet else []
    given += [("fresh=True", "--fresh")]
    given += [LEAVE_LAB] if leave_lab else []
    return written("up", sandbox_id, *given)


def _other(
    sandbox_id: str, found: Sandbox | None, hosts: int, internet: bool, why: str
) -> SandboxError:
    """Why the sandbox that runs is not the one asked for, what is in it, and both ways on."""
    inside = ""
    if found:
        if len(found.hosts) < hosts:
            why = f"it has {_count(len(found.hosts), 'host')} and you asked for {hosts}"
        elif found.internet != internet:
            reach = "reach this machine's networks"
            why = f"it cannot {reach}" if internet else f"it can {reach}, which you did not ask for"
        with ThreadPoolExecutor() as pool:
            inside = "\nIn it now: " + "; ".join(pool.map(_inside, map(found.host, found.hosts)))
    own = "" if sandbox_id == default_id() else f'"{sandbox_id}"'
    return SandboxError(
        f"The sandbox {sandbox_id!r} is already running, but it is not the one you asked for. "
        "Nothing was changed.",
        why=(why or "it was started by another version of the course") + inside,
        fix="keep using it as it is"
        + advice(f": sb = sandbox.find({own})", "")
        + f"\nTo delete everything in it and start again: {as_new(sandbox_id, hosts, internet)}",
    )


def _inside(host: Host) -> str:
    """What a learner made on that host, in short."""
    try:
        containers = len(host.client.api.containers(all=True))
        made = {it["Name"] for it in host.client.api.networks()} - OWN_NETWORKS
    except Exception:
        # Whatever keeps it from answering: this only adds to what is said.
        return f"{host.name} does not answer"
    return (
        f"{host.name}: {_count(containers, 'container')}, {_count(len(made), 'network')} of yours"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def lab_on(sandbox: Sandbox) -> str:
    """The lab that was begun on these hosts and not finished; "" for none.

    Raises SandboxError if the record of what was begun cannot be read.
    """
    labs = record.under_way()
    if not labs:
        return ""
    try:
        said = sandbox.host("a").run(["cat", LAB_MARKER], timeout=10).stdout
    except SandboxError:
        # A host that does not answer can only be replaced.
        return ""
    name = said.partition("/")[0]
    return name if name in labs else ""


def keep_lab(
    sandbox: Sandbox, replace: str, *, other_than: str = "", elsewhere: bool = True
) -> None:
    """Refuse to replace hosts on which a lab is under way.

    replace: what to do to replace them all the same.  other_than: a lab that may be replaced.
    elsewhere: whether what was asked for can be done on other hosts.

    Raises SandboxError.
    """
    name = lab_on(sandbox)
    if name in ("", other_than):
        return
    lab = record.read().lab(name)
    minutes = int((time.time() - lab.started) / 60)
    keep = f"To keep it and work on other hosts now, {_other_hosts(sandbox)}. " if elsewhere else ""
    raise SandboxError(
        f"You are in the middle of the lab {name} on these hosts. This would erase your work.",
        why=f"you started it {minutes} min ago; your best result so far is {lab.best} of "
        f"{lab.points} points",
        fix=f"finish the lab first. {keep}To give the lab up: {replace}",
    )


def _other_hosts(sandbox: Sandbox) -> str:
    """How to run the same for other hosts, as it is written where this is read."""
    id = "second" if sandbox.id != "second" else "third"
    elsewhere = engines.ENGINES[sandbox.engine].elsewhere()
    ways = [elsewhere] if elsewhere else []
    if sandbox.id == default_id():
        ways.append(setting("SANDBOX_ID", id))
    else:
        ways.append(advice(f'write id="{id}"', f"write --id {id}"))
    return f"{', and '.join(ways)}, then run this{advice(' cell', '')} again"


def ask_before(sandbox_id: str, again: str) -> None:
    """Raise SandboxError if a lab is under way on the hosts, as far as that can be known.

    again: what to do to erase it all the same. A reset and a removal are to help when everything
    else is broken, so what cannot be read is no reason against them.
    """
    found = None
    with contextlib.suppress(SandboxError, OSError):
        if record.under_way():
            found = find(sandbox_id)
    if found:
        keep_lab(found, again, elsewhere=False)


def find(id: str | None = None) -> Sandbox | None:
    """The sandbox of that id if it runs, else None. Starts nothing."""
    found = find_with_state(id)
    return found[0] if found else None


def find_with_state(id: str | None = None) -> tuple[Sandbox, EngineState] | None:
    """See ``find``; and the state in which its engine is, from the same look."""
    sandbox_id = _checked(id)
    found = engines.running(sandbox_id)
    if found is None:
        return None
    engine, state = found
    return Sandbox(sandbox_id, engine, plan.recipe(len(state.hosts)), state.internet), state


def host(name: str, *, id: str | None = None) -> Host:
    """A host of the running sandbox. Raises SandboxError if there is none."""
    return running(id).host(name)


def reset(*, leave_lab: bool = False, id: str | None = None) -> None:
    """Take every host of the sandbox back to new; start it if it ended by itself.

    leave_lab: even though you have begun a lab on them and not finished it.

    Raises SandboxError.
    """
    sandbox = find(id)
    if sandbox is None and (last := engines.ended(_checked(id))):
        engine, count, internet = last
        sandbox = Sandbox(_checked(id), engine, plan.recipe(count), internet)
    (sandbox or running(id)).reset(leave_lab=leave_lab)


def snapshot(name: str | None = None, *, id: str | None = None) -> Snapshot:
    """The network state of the running sandbox's hosts at this moment.

    name: of one host, ``a`` or ``host-a``; None for all of them.

    A host that does not answer is in it with ``unread`` set. Raises SandboxError if no sandbox
    runs, or none of its hosts has that name.
    """
    sandbox = running(id)
    names = sandbox.hosts if name is None else (sandbox.host(name).name,)
    return sandbox.snapshot(names)


def settled(name: str | None = None, *, id: str | None = None) -> Snapshot:
    """A snapshot when the hosts no longer change, or after SETTLE_SECONDS; see ``snapshot``.

    A command may end a moment before all that it set going: a bridge comes up when its first
    port does.
    """
    from sandbox.model.difference import steady

    deadline = time.monotonic() + SETTLE_SECONDS
    found = snapshot(name, id=id)
    while time.monotonic() < deadline:
        earlier, found = found, snapshot(name, id=id)
        if [*map(steady, earlier.hosts)] == [*map(steady, found.hosts)]:
            break
    return found


@explained()
def down(*, leave_lab: bool = False, id: str | None = None) -> None:
    """Remove the sandbox and everything in it. None there is no error.

    leave_lab: even though you have begun a lab on its hosts and not finished it.

    Raises SandboxError if something is left, such as on a Docker that does not answer.
    """
    if not leave_lab:
        ask_before(_checked(id), written("down", _checked(id), LEAVE_LAB))
    engines.remove(_checked(id))


def running(id: str | None = None) -> Sandbox:
    """The running sandbox. Raises SandboxError if it does not run."""
    sandbox = find(id)
    if sandbox is None:
        raise SandboxError(
            f"The sandbox {_checked(id)!r} is not running.",
            fix=f"start it: {written('up', _checked(id))}",
        )
    return sandbox


def _checked(id: str | None) -> str:
    sandbox_id = default_id() if id is None or id == "" else id
    expect(sandbox_id, str, "a sandbox's id", 'write it in quotes: id="second"')
    if not ID.fullmatch(sandbox_id):
        raise SandboxError(
            f"{sandbox_id!r} cannot be a sandbox's id.",
            why="it takes 1 to 31 small letters, digits and hyphens, and begins without a hyphen",
            fix="choose another, such as my-sandbox",
        )
    return sandbox_id


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
