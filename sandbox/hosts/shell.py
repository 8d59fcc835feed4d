"""The shell cell: how bash runs it, and which command ended it, with the reason that it gave."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sandbox.guest import agent

__all__ = ["SIGPIPE", "TAIL", "Failure", "argv", "failure"]

# Both outputs go to one place, in the order they came, as in a terminal. What bash says about
# commands that failed goes where nothing else does (descriptor 9), as fields that end with NUL:
# "fatal" or "passed", the depth of subshells, the statuses of the pipeline's parts, the line, the
# command; and at the end "exit", its depth, the status, the line and the last command.
#
# A reader that had enough ends the writers before it by SIGPIPE (141): the cell goes on. Bash asks
# for -e right after this trap, so that it is off until the next command. That is not done for a
# lone command in a subshell: a loop that writes to "head" is to end with it.
_NEXT = "{ set -e +T; trap - DEBUG; } 2> /dev/null"
_ERR = (
    '{ printf -v _wire "%s," "$?" "${PIPESTATUS[@]}"; '
    "_wire_end=passed; "
    "if [[ $_wire == 141,+(@(0|141),)0, || "
    "$BASH_SUBSHELL,$_wire == 0,141,+(@(0|141),)141, ]]; then :; "
    "elif [[ $_wire == 141,141, ]] && { "
    # What is made of commands: a subshell, an assignment, a function (its name or, in older bash,
    # its last command).
    '[[ $BASH_COMMAND == @("("|+([A-Za-z0-9_])=)* || $BASH_COMMAND == "$_wire_last" ]] || '
    'declare -F "${BASH_COMMAND%% *}"; }; '
    "then :; elif [[ $- == *e* ]]; then _wire_end=fatal; fi; "
    'printf "%s\\0" "$_wire_end" "$BASH_SUBSHELL" "${_wire#*,}" "$LINENO" "$BASH_COMMAND" >&9; '
    "if [[ $_wire_end == passed && $- == *e* ]]; then "
    f'_wire_last=$BASH_COMMAND; set +e -T; trap "{_NEXT}" DEBUG; fi; }} > /dev/null 2>&1'
)
_EXIT = (
    '{ printf -v _wire "%s," "$?" "${PIPESTATUS[@]}"; '
    'printf "%s\\0" exit "$BASH_SUBSHELL" "$_wire" "$LINENO" "$BASH_COMMAND" >&9; } 2> /dev/null'
)
# It has three lines: bash counts from there when it names a line of the cell.
_PRELUDE = f"exec 9>&2 2>&1\nset -eE -o pipefail\ntrap '{_ERR}' ERR; trap '{_EXIT}' EXIT\n"
_LINES = _PRELUDE.count("\n")
# A command that a signal ended has the status 128 and its number.
SIGPIPE = 128 + signal.SIGPIPE
_UNREAD = "bash: -c: line "
_HAD_ENOUGH = (
    "The last command of the pipeline stopped reading before the others had finished writing. "
    "Bash takes that as a failure before && and in a condition."
)
# How much of a cell's output is looked through for the reason.
TAIL = 8000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell failed.

    command: the one that did, on one line; "" if none can be named, such as where bash could not
    read the cell.  status: its own.  reason: what it said itself, or "".
    """

    command: str
    status: int
    reason: str

    def __str__(self) -> str:
        if not self.command and self.reason.startswith(_UNREAD):
            return "bash cannot read this cell"
        ended = f"ended with status {self.status}{_by_signal(self.status)}"
        return f"'{self.command}' {ended}" if self.command else f"the cell {ended}"


def argv(cell: str) -> list[str]:
    """The words that run a cell: output comes on stdout, what ``failure`` reads on stderr."""
    return ["bash", "-c", _PRELUDE + cell]


def failure(cell: str, code: int, report: bytes, output: bytes) -> Failure | None:
    """Which command ended a cell and why; None if the cell did what it was to do.

    code: bash's exit status.  report: all of its stderr.  output: the end of its stdout.
    """
    if not code:
        return None
    text = output.decode(errors="replace")
    events = _events(report)
    fatal = next((it for it in events if it.fatal and it.depth == 0), None)
    if fatal:
        command, status = _culprit(cell, fatal, events, text)
        return Failure(_short(command), status, _reason(text, command, _first(cell, command)))
    # Nothing failed on the way, so it is the cell's end that did: exit, the last of a && list …
    end = next((it for it in events if it.kind == "exit" and it.statuses[:1] == (code,)), None)
    # A long cell is read by a command of the agent's, which is the last one at its end.
    last = end.command if end and not end.command.startswith(agent.LOADER) else ""
    left = last.startswith(("exit", "exec"))
    if end and code == SIGPIPE and not left:
        if any(it.kind == "passed" and it.depth == 0 and it.command == last for it in events):
            return None
        return Failure(_short(f"… | {last}"), code, _HAD_ENOUGH)
    if unread := re.search(rf"^{_UNREAD}.*(syntax error|unexpected EOF).*$", text, re.M):
        return Failure("", code, unread[0])
    if end and not left and len(end.statuses) > 2 and code in end.statuses[1:]:
        last, _ = _culprit(cell, replace(end, statuses=end.statuses[1:], line=0), events, text)
    elif last and re.search(rf"(^|[\s;&|(])!\s+{re.escape(last)}", cell):
        last = f"! {last}"
    elif not last and len(parts := list(_pipelines(cell))) == 1 and len(parts[0]) == 1:
        last = parts[0][0].text
    return Failure(_short(last), code, _reason(text, last, _first(cell, last)) if last else "")


@dataclass(frozen=True, slots=True)
class _Event:
    """What a trap said. statuses: of each part of the pipeline.  line: of the cell, from 1."""

    kind: str
    depth: int
    statuses: tuple[int, ...]
    line: int
    command: str

    @property
    def fatal(self) -> bool:
        return self.kind == "fatal"


def _events(report: bytes) -> list[_Event]:
    fields = report.decode(errors="replace").split("\0")
    found = []
    for kind, depth, statuses, line, command in zip(*[iter(fields)] * 5, strict=False):
        if kind not in ("fatal", "passed", "exit") or not (depth + line).isdigit():
            break
        numbers = tuple(int(it) for it in statuses.split(",") if it.isdigit())
        found.append(_Event(kind, int(depth), numbers, int(line) - _LINES, command))
    return found


def _culprit(cell: str, fatal: _Event, events: list[_Event], text: str) -> tuple[str, int]:
    """The command that ended the cell, and its status."""
    statuses = fatal.statuses
    # What fails first is mostly why those after it do; one whose reader had enough is not it.
    failed = [n for n, it in enumerate(statuses) if it not in (0, SIGPIPE)]
    if not failed:
        failed = [n for n, it in enumerate(statuses) if it] or [0]
    status = statuses[failed[0]] or 1
    # What failed in a subshell that ends with its first failure is named by that.
    inner = [it for it in events if it.fatal and it.depth and it.statuses[-1:] == (status,)]
    if inner and (len(statuses) > 1 or fatal.command.startswith("(")):
        return inner[-1].command, status
    if len(statuses) > 1:
        parts = _parts(cell, fatal, failed[0])
        if len(parts) > 1:
            parts = [it for it in parts if _reason(text, it, False)]
        part = parts[0] if len(parts) == 1 else ""
        return part or f"… | {fatal.command}", status
    return fatal.command, status


def _parts(cell: str, fatal: _Event, number: int) -> list[str]:
    """The part of the pipeline that failed, as the cell writes it; several if it may be each."""
    found = [it for it in _pipelines(cell) if len(it) == len(fatal.statuses)]
    said = _squeezed(fatal.command)
    same = [it for it in found if any(_squeezed(part.text) == said for part in it)] or found
    near = [it for it in same if any(part.line == fatal.line for part in it)] or same
    return list(dict.fromkeys(it[number].text for it in near))


def _squeezed(text: str) -> str:
    return re.sub(r"\s|\\\n", "", text)


@dataclass(frozen=True, slots=True)
class _Part:
    """A command of a pipeline. line: of the cell, from 1, where it begins."""

    text: str
    line: int


# Words before a command that are none of it; a "}" or "done" is kept as that of what it ends.
_OPENS = re.compile(r"(?:(?:!|\{|time|if|then|elif|else|while|until|do)\s+)*(?P<rest>.*)", re.S)
_TOKEN = re.compile(
    r"""(?P<quoted>\\.|'[^']*'|"(?:\\.|[^"\\])*"|\$'(?:\\.|[^'\\])*')"""
    r"""|(?P<comment>(?:(?<=[\s;&|(])|^)\#[^\n]*)"""
    r"""|(?P<here><<-?\s*(?P<mark>\\?["']?[\w.-]+["']?))"""
    r"""|(?P<into><<<|[<>]&|&>>?|>\|)"""
    r"""|(?P<opens>[$<>]?\()|(?P<closes>\))"""
    r"""|(?P<pipe>\|&|\|(?!\|))"""
    r"""|(?P<ends>\|\||&&|;+|&|\n)""",
    re.S | re.X,
)


def _pipelines(cell: str) -> Iterator[list[_Part]]:
    """The pipelines of a cell, those within others too, each as its parts in their order."""
    stack: list[tuple[int, list[_Part]]] = [(0, [])]
    at, bodies = 0, []

    def part(end: int) -> _Part:
        text = cell[stack[-1][0] : end]
        kept = _OPENS.match(text.lstrip())
        command = kept["rest"].rstrip() if kept else ""
        begin = end - len(text.lstrip()) + (kept.start("rest") if kept else 0)
        return _Part(command, cell.count("\n", 0, begin) + 1)

    def close(end: int) -> list[_Part]:
        return [*stack[-1][1], part(end)]

    while found := _TOKEN.search(cell, at):
        at = found.end()
        kind = found.lastgroup if found.lastgroup != "mark" else "here"
        begin, parts = stack[-1]
        if kind == "here":
            bodies.append(found["mark"].strip("\\\"'"))
        elif kind == "comment":
            at = found.start() + len(found[0])
        elif kind == "opens":
            stack.append((at, []))
        elif kind == "closes" and len(stack) > 1:
            yield close(found.start())
            stack.pop()
        elif kind == "pipe":
            stack[-1] = (at, [*parts, part(found.start())])
        elif kind in ("ends", "closes"):
            if found[0] == "\n":
                for mark in bodies:
                    body = re.compile(rf"^\t*{re.escape(mark)}$\n?", re.M).search(cell, at)
                    at = body.end() if body else len(cell)
                bodies = []
                if parts and not cell[begin : found.start()].strip():
                    stack[-1] = (at, parts)
                    continue
            yield [it for it in close(found.start()) if it.text or parts]
            stack[-1] = (at, [])
    yield [it for it in close(len(cell)) if it.text]


def _first(cell: str, command: str) -> bool:
    """Whether all that the cell wrote is the command's own: it is the first one."""
    listed = [it for it in _pipelines(cell) if it]
    return bool(listed) and any(_squeezed(it.text) == _squeezed(command) for it in listed[0])


def _short(command: str) -> str:
    """A command on one line."""
    first, more, _ = re.sub(r"\\\n\s*", "", command.strip()).partition("\n")
    return f"{first.rstrip()} …" if more else first


def _by_signal(status: int) -> str:
    try:
        return f" ({signal.Signals(status - 128).name})" if status > 128 else ""
    except ValueError:
        return ""


# Lines that tell how to ask for help, or point at the line before.
_HINT = re.compile(
    r"\s*$|\s*\^|(Run|See|Try|Use|For more|More info|Usage|usage:|Did you mean)\b|\s+(or:|dmesg)"
    r"|-+$|\*+$|\(No such device exists\)",
)
_TROUBLE = re.compile(
    r"error|fail|fatal|can(no|')t|could(n't| not)|unable|no such"
    r"|not (found|permitted|supported|running|known|a |an |set|in )|no route|denied"
    r"|refused|unreachable|time(d )?out|invalid|unknown"
    r"|unrecogni[sz]ed|unexpected|missing|already|do(es)?(n't| not) exist|conflict|require|too many"
    r"|bad |killed|100% packet loss|unbound|exists|must |in use|no space|reset by peer|exception",
    re.I,
)
# Those that only answer yes or no: what was said before them is not their reason.
_QUIET = re.compile(r"([ef]?grep|test|\[+|\(\(|false|!|diff|cmp|exit|return|wait|pgrep)(\s|$)")
# Of whose words a line is, by how it begins.
_BEGINS = {
    "docker": re.compile(
        r"(docker: )?(Error response from daemon|error during connect|Cannot connect to the Docker)"
        r"|docker: |Error: No such|error: no such|OCI runtime|unknown flag|unknown command"
        r"|\"docker"
    ),
    "ip bridge tc nft": re.compile(r"RTNETLINK answers|Error: |Cannot |Device |Object |Nexthop "),
}
_SHELL = re.compile(r"bash: (-c: )?(line \d+: )?")


def _reason(output: str, command: str, only: bool) -> str:
    """The line of an output in which a command says why it failed, or "".

    only: nothing else wrote there.
    """
    lines = [it.rstrip() for it in output.replace("\r", "\n").splitlines()]
    lines = [it for it in lines if not _HINT.match(it)]
    words = {it.rpartition("/")[2] for it in re.findall(r"[\w./+-]+", command)}
    own = [it for it in lines if _says(it, words)]
    if own:
        return own[-1].strip()
    if _QUIET.match(command):
        return ""
    theirs = [it for it in lines if _TROUBLE.search(it) and not _of_another(it, words)]
    if theirs:
        return theirs[-1].strip()
    return lines[-1].strip() if only and lines else ""


def _says(line: str, words: set[str]) -> bool:
    """Whether a line begins as one of these programs, or bash for it, begins what it says."""
    if begun := _SHELL.match(line):
        rest = line[begun.end() :]
        return any(it in rest for it in words)
    name = re.match(r"([\w.+-]+)( v[\d.]+ \(\w+\))?: ", line)
    if name and name[1] in words:
        return True
    return any(
        begins.match(line) for programs, begins in _BEGINS.items() if words & {*programs.split()}
    )


def _of_another(line: str, words: set[str]) -> bool:
    """Whether a line is one that another program begins so."""
    if _SHELL.match(line) or re.match(r"[a-z][a-z0-9_.+-]*: ", line):
        return True
    return any(begins.match(line) for begins in _BEGINS.values())
