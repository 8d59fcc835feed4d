"""The cell ``%%host a``: its options, and its lines run on that host as if typed there."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import NoReturn

from sandbox.errors import CellFailed, SandboxError
from sandbox.guest import wire
from sandbox.hosts import shell
from sandbox.hosts.host import Host, text_writer
from sandbox.hosts.sandbox import host, settled, snapshot
from sandbox.model.difference import diff

__all__ = ["OPTIONS", "cell_options", "run_cell", "save"]

OPTIONS = ("--expect-failure", "--head", "--diff", "--save")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SandboxError(f"%%host: {message}.", fix=self.format_usage().strip())


def _lines(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines, such as 10")
    return int(text)


def _file(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the file has no name")
    return text


def _parser() -> _Parser:
    parser = _Parser(prog="%%host", add_help=False)
    parser.add_argument("name", metavar="HOST")
    parser.add_argument("--expect-failure", action="store_true")
    parser.add_argument("--head", type=_lines, metavar="LINES")
    parser.add_argument("--diff", action="store_true")
    parser.add_argument("--save", type=_file, metavar="FILE")
    return parser


def cell_options(line: str) -> argparse.Namespace:
    """What the words after ``%%host`` ask for: name, expect_failure, head, diff, save.

    Raises SandboxError.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise SandboxError(f"%%host: {error} in {line!r}.", fix="%%host a") from error
    return _parser().parse_args(words)


def run_cell(line: str, cell: str, write: Callable[[str], object]) -> None:
    """Run cell on the host that line names, writing its output as it comes.

    line: ``a``, ``host-b --expect-failure``, ``a --head 10``; with ``--diff`` it ends with what
        the cell changed on that host; with ``--save FILE`` the cell is written to that file
        there, and not run.

    Raises CellFailed if a command fails that should not, or none fails and one should.
    """
    options = cell_options(line)
    target = host(options.name)
    if options.save:
        save(target, options.save, cell, write)
        return
    before = snapshot(target.name) if options.diff else None
    head = _Head(write, options.head)
    take = text_writer(head.write)
    report: list[bytes] = []
    tail = b""

    def output(kind: int, data: bytes) -> None:
        nonlocal tail
        if kind == wire.STDOUT:
            take(data)
            tail = (tail + data)[-shell.TAIL :]
        else:
            report.append(data)

    code = target.stream(shell.argv(cell), output)
    head.end()
    if before:
        write(f"{diff(before, settled(target.name))}\n")
    failure = shell.failure(cell, code, b"".join(report), tail)
    if failure and not options.expect_failure:
        raise CellFailed(f"On {target.name}, {failure}.", why=failure.reason)
    if options.expect_failure:
        if not failure:
            raise CellFailed(f"This cell was expected to fail on {target.name}, and did not.")
        write(f"[status {code if code != shell.SIGPIPE else failure.status}, as expected]\n")


def save(target: Host, path: str, text: str, write: Callable[[str], object]) -> None:
    """Write text to a file of the host, and say so. Raises CellFailed."""
    said: list[bytes] = []
    code = target.stream(
        ["bash", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "save", path],
        lambda _kind, data: said.append(data),
        stdin=text.encode(),
        timeout=30,
    )
    if code:
        raise CellFailed(
            f"On {target.name}, {path} could not be written.",
            why=b"".join(said).decode(errors="replace").strip(),
        )
    count = len(text.splitlines())
    write(f"{path} written on {target.name}, {count} line{'s' * (count != 1)}\n")


class _Head:
    """Passes on the first lines and says how many it kept back. limit: None for no limit."""

    def __init__(self, write: Callable[[str], object], limit: int | None) -> None:
        self._write, self._limit = write, limit
        self._seen = 0

    def write(self, text: str) -> None:
        if self._limit is None:
            self._write(text)
            return
        for line in text.splitlines(keepends=True):
            if self._seen < self._limit:
                self._write(line)
            self._seen += line.endswith("\n")

    def end(self) -> None:
        if self._limit is not None and self._seen > self._limit:
            self._write(f"… {self._seen - self._limit} more lines\n")
