"""The sandbox from the command line: ``python -m sandbox up``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.command import run
from sandbox.engine import choose as engines
from sandbox.errors import SandboxError, course, written
from sandbox.hosts import sandbox as sandboxes
from sandbox.paths import cache_dir, data_dir, explained, is_ours, sandbox_ids
from sandbox.steps import TextSteps

__all__ = ["main"]


def _up(options: argparse.Namespace) -> int:
    sandbox = sandboxes.up(
        options.hosts,
        needs=options.needs,
        internet=options.internet,
        fresh=options.fresh,
        leave_lab=options.leave_lab,
        id=options.id,
        steps=TextSteps(),
    )
    for name in sandbox.hosts:
        print(name, sandbox.host(name).address)
    return 0


def _down(options: argparse.Namespace) -> int:
    names = sandbox_ids() if options.all else [options.id]
    if options.cache:
        _refuse_while_used([name for name in sandbox_ids() if name not in names])
    if not options.leave_lab:
        words = [
            (f"{word}=True", f"--{word}") for word in ("all", "cache") if getattr(options, word)
        ]
        of = sandboxes.default_id() if options.all else options.id
        for name in names:
            sandboxes.ask_before(name, written("down", of, *words, sandboxes.LEAVE_LAB))
    failed = []
    for name in names:
        try:
            with explained():
                given_up = _lab_on(name) if options.leave_lab else ""
                sandboxes.down(id=name, leave_lab=True)
            lab = f", and with it your work on the lab {given_up}" if given_up else ""
            print(f"{name} is removed{lab}")
        except SandboxError as error:
            failed.append(name)
            print(f"sandbox: {name} is not removed. {error}", file=sys.stderr)
    if options.cache:
        failed += _remove_cache(failed)
    return 1 if failed else 0


def _lab_on(name: str) -> str:
    """The lab under way on that sandbox, as far as that can be known; "" for none."""
    with contextlib.suppress(SandboxError, OSError):
        if found := sandboxes.find(name):
            return sandboxes.lab_on(found)
    return ""


def _remove_cache(keep: list[str]) -> list[str]:
    """Delete what the engines built, and the cache; gives the engines that keep something.

    keep: the sandboxes whose folders stay.
    """
    from sandbox.engine import companion

    failed = []
    for engine in engines.ENGINES.values():
        try:
            for thing in engine.purge():
                print(f"{thing} is removed")
        except SandboxError as error:
            failed.append(engine.name)
            print(f"sandbox: {error}", file=sys.stderr)
    _refuse_while_used(
        [name for name in sandbox_ids() if name not in keep or companion.living(name)]
    )
    cache = cache_dir()
    stays = engines.clear(keep)
    print(f"the course's files in {cache} are deleted")
    if any(path.name == "sandboxes" for path in stays):
        print(f"the records of {', '.join(keep)} stay in {cache}/sandboxes")
    if others := [path.name for path in stays if not is_ours(path.name)]:
        print(f"{cache} stays, because it holds other files: {', '.join(others)}")
    return failed


def _refuse_while_used(names: list[str]) -> None:
    if used := [name for name in names if engines.lives(name)]:
        raise SandboxError(
            f"The cache was not deleted, because it is in use by: {', '.join(used)}.",
            fix=f"to remove every sandbox first, then the cache: {course('down --all --cache')}",
        )


def _reset(options: argparse.Namespace) -> int:
    sandboxes.reset(id=options.id, leave_lab=options.leave_lab)
    return 0


def _status(options: argparse.Namespace) -> int:
    from sandbox.status import status

    found = status(options.id)
    broken = [host["problem"] for host in found["hosts"] if host["problem"]]
    if options.json:
        print(json.dumps(found, indent=2))
    elif not found["running"]:
        start = written("up", found["id"])
        print(f"The sandbox {found['id']!r} is not running. To start it: {start}")
    else:
        memory = f", {found['memory']} MiB resident" if found["memory"] else ""
        print(f"{found['id']}: engine {found['engine']} ({found['detail']}){memory}")
        if found["problem"]:
            print(found["problem"])
            return 1
        for host in found["hosts"]:
            what = host["problem"] or (
                f"Docker Engine {host['engine']}, {host['containers']} containers running"
            )
            print(f"{host['name']}  {host['address']}  {what}")
        if broken:
            print(f"What to do: {written('reset', found['id'])}")
    return 1 if broken or not found["running"] else 0


def _workshop(options: argparse.Namespace) -> int:
    from sandbox.room.workshop import check

    found = check(steps=TextSteps())
    if options.json:
        print(json.dumps([dataclasses.asdict(it) for it in found], indent=2))
    else:
        for it in found:
            print(f"{'ok  ' if it.ok else 'NOT '} {it.what}: {it.found}")
            if not it.ok:
                print(f"     What to do: {it.fix}")
    return 0 if all(it.ok for it in found) else 1


def _doctor(options: argparse.Namespace) -> int:
    if options.workshop:
        return _workshop(options)
    from sandbox.status import doctor

    reports = engines.reports()
    found = doctor(options.id, reports)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0 if found["ok"] else 1
    print(f"Machine: {found['machine']}")
    print(f"Engine: {found['engine'] or 'none'} ({found['why']})")
    print("".join(f"Set: {name}={value}\n" for name, value in found["settings"].items()), end="")
    for report in reports.values():
        for line in report.lines:
            print(line)
    if found["problem"]:
        print(found["problem"])
    for driver, lack in found["drivers"].items():
        print(f"Driver {driver}: {lack or 'works'}")
    for line in found["advice"]:
        print(f"To get more: {line}")
    return 0 if found["ok"] else 1


def _build(options: argparse.Namespace) -> int:
    from sandbox.hosts import plan

    steps = TextSteps()
    found = sandboxes.find(options.id)
    engine = engines.choose(options.id, found.engine if found else "")
    recipe = plan.recipe(options.hosts)
    if options.pack:
        where = engine.pack(recipe, options.pack.absolute(), steps)
    else:
        where = engine.build(recipe, steps)
    steps.done(f"What the hosts need is ready: {where}")
    return 0


def _shell(options: argparse.Namespace) -> int:
    return sandboxes.host(options.host, id=options.id).shell(options.container)


def _wall(options: argparse.Namespace) -> int:
    from sandbox.room.wall import serve

    file = options.file or data_dir() / "wall.sqlite"
    serve(file, options.host, options.port, lambda text: print(text, flush=True))
    return 0


def _report(options: argparse.Namespace) -> int:
    from sandbox.report import write

    print(f"The report is in {write(options.file)}. Read it before you send it to anyone.")
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Real Docker hosts for the course Docker Networking, Wire by Wire.",
        epilog="Exit status: 0 done, 1 not so or not possible (the message says why), 2 usage.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: Callable[[Any], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(act=act)
        added.add_argument(
            "--id",
            default=sandboxes.default_id(),
            help="which sandbox (default: $SANDBOX_ID, or 'default')",
        )
        return added

    up = command("up", _up, "bring up Docker hosts, or find the ones that run")
    up.add_argument("--hosts", type=int, default=2, help="how many, 1 to 4 (default: 2)")
    up.add_argument(
        "--internet",
        action="store_true",
        help="let the hosts reach this machine's networks, and its own loopback",
    )
    up.add_argument(
        "--fresh",
        action="store_true",
        help="exactly that many, as new; deletes what is in those that run",
    )
    up.add_argument(
        "--needs",
        nargs="+",
        default=[],
        metavar="CAPABILITY",
        help="what the hosts must be able to do, such as: ipvlan ipvs",
    )
    down = command("down", _down, "remove a sandbox and everything in it")
    down.add_argument("--all", action="store_true", help="every sandbox of this account")
    down.add_argument("--cache", action="store_true", help="the cached files too")
    reset = command("reset", _reset, "put every host back as new")
    for added in (up, down, reset):
        added.add_argument(
            "--leave-lab", action="store_true", help="even in the middle of a lab on these hosts"
        )
    for name, act, text in (
        ("status", _status, "say what runs, and whether each host's Docker Engine answers"),
        ("doctor", _doctor, "say what this machine has and what to install to get more"),
    ):
        added = command(name, act, text)
        added.add_argument("--json", action="store_true", help="for programs")
    added.add_argument(
        "--workshop", action="store_true", help="try a sandbox here, as the day before a workshop"
    )
    build = command("build", _build, "make the VM's files now, so that up takes a second")
    build.add_argument("--hosts", type=int, default=2, help="how many, 1 to 4 (default: 2)")
    build.add_argument(
        "--pack",
        type=Path,
        metavar="FOLDER",
        help="write them there as one file too, for WIRE_BY_WIRE_HOSTS",
    )
    report = command("report", _report, "write one file for a bug report, without who you are")
    report.add_argument("--file", type=Path, help="where to (default: in this folder)")
    shell = command("shell", _shell, "open a shell on a host, or in a container there")
    shell.add_argument("host", help="such as host-a")
    shell.add_argument("container", nargs="?", default="", help="the name of one on that host")
    wall = commands.add_parser("wall", help="a page that shows a room's progress at a glance")
    wall.set_defaults(act=_wall)
    wall.add_argument(
        "--file", type=Path, help="where the room is kept (default: in the data folder)"
    )
    wall.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    wall.add_argument("--port", type=_port, default=8765, help="(default: %(default)s)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""

    def act() -> int:
        options = _parser().parse_args(arguments)
        return int(options.act(options))

    return run(act)


if __name__ == "__main__":
    sys.exit(main())
