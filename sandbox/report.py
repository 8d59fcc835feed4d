"""One file for a bug report: what is here and what was said last, without who and where you are."""

from __future__ import annotations

import contextlib
import getpass
import importlib.metadata
import ipaddress
import json
import os
import platform
import queue
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox import memory, paths, settings
from sandbox.engine.choose import ENGINES
from sandbox.errors import SandboxError, course
from sandbox.guest.addresses import RESERVED

__all__ = ["Redaction", "logs", "write"]

PART_SECONDS = 60
# Characters of one part; bytes of a log that are looked at for its end.
PART_CHARACTERS = 16_000
LOG_BYTES = 64 * 1024
SANDBOXES = 4
VARIABLES = re.compile(r"SANDBOX_|WIRE_BY_WIRE_|DOCKER_|XDG_|PIP_|LANG$|LC_|TMPDIR$")
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|KEY|AUTH|CREDENTIAL|COOKIE", re.IGNORECASE)
# Addresses that are the same in everybody's sandbox: loopback, the hosts' LAN, QEMU's own network.
COMMON = [ipaddress.ip_network(net) for net in ("127.0.0.0/8", RESERVED, "10.0.2.0/24")]
# Names of accounts and machines that are nobody's, and that the report needs.
NOBODYS = {
    "debian",
    "default",
    "host",
    "jovyan",
    "linux",
    "localhost",
    "nobody",
    "root",
    "sandbox",
    "ubuntu",
    "user",
    *ENGINES,
}

_PATTERNS = (
    (settings.PASSWORD, r"\1[secret]@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 [secret]"),
    (
        re.compile(
            r"(?i)((?:token|secret|passw\w*|api[_-]?key|authorization|cookie)[\"']?\s*[=:]\s*"
            r"[\"']?)(?!\[secret\]|bearer |basic )[^\s\"'&,;]+"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "[secret]"),
    (re.compile(r"(?<![\w/+])(?:sha256:)?[0-9A-Fa-f]{32,}(?!\w)"), "[long number]"),
    (re.compile(r"(?<![\w/+.-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_]{36,}(?!\w)"), "[secret]"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "[mail]"),
    (re.compile(r"(/(?:home|Users|media|mnt|Volumes|run/user))/[^\s:;,\"'()\[\]]+"), r"\1/[path]"),
    (re.compile(r"(?i)\b(?!52:54:00|02:42)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "[mac]"),
)
# An IPv4 address may be followed by its port.
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)"
    r"|(?<![\w.:])[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(?![\w:])"
)


class Redaction:
    """Takes out of a text what tells who and where somebody is, and what is secret.

    words: for each text that has to go what is put there.
    """

    def __init__(self, words: dict[str, str]) -> None:
        forms = {form: put for word, put in words.items() for form in _forms(word)}
        self._words = [
            (re.compile(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", re.IGNORECASE), forms[form])
            for form in sorted(forms, key=len, reverse=True)
        ]

    @classmethod
    def of_this_machine(cls) -> Redaction:
        """All that is known here of the account, its folders, the machine and its secrets."""
        words: dict[str, str] = {}
        for put, find in (
            ("[user]", _user_names),
            ("[machine]", _machine_names),
            ("[learner]", _learner),
            ("[sandbox]", _sandbox_names),
            ("[secret]", _secrets),
            ("[folder]", _folders),
        ):
            # What cannot be found out stands in no part of the report either.
            with contextlib.suppress(Exception):
                words |= {
                    word: put for word in find() if len(word) > 1 and word.lower() not in NOBODYS
                }
        with contextlib.suppress(Exception):
            words[str(paths.cache_dir())] = "[cache]"
        for home in {settings.read("HOME"), str(Path("~").expanduser())} - {"", "/", "~"}:
            words |= {home: "~", os.path.realpath(home): "~"}
        return cls(words)

    def __call__(self, text: str, *, addresses: bool = True) -> str:
        """The text without it, and printable. addresses: take those of networks out too."""
        text = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
        for pattern, put in self._words:
            text = pattern.sub(put.replace("\\", r"\\"), text)
        for pattern, put in _PATTERNS:
            text = pattern.sub(put, text)
        return _ADDRESS.sub(_address, text) if addresses else text


def _forms(word: str) -> set[str]:
    """As it is, and as it stands in JSON, in Python and in an address."""
    return {word, json.dumps(word)[1:-1], repr(word)[1:-1], quote(word)}


def _address(found: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(found[0].rstrip(".:"))
    except ValueError:
        return found[0]
    common = address.is_loopback or address.is_unspecified
    if address.version == 4:
        common = common or any(address in network for network in COMMON)
    return found[0] if common else "[address]"


def _user_names() -> Iterator[str]:
    import pwd

    names = {getpass.getuser()}
    with contextlib.suppress(KeyError):
        entry = pwd.getpwuid(os.getuid())
        full = entry.pw_gecos.split(",")[0]
        names |= {entry.pw_name, full, *full.split()}
    for variable in ("USER", "LOGNAME", "SUDO_USER", "JUPYTERHUB_USER", "NB_USER"):
        names.add(settings.read(variable))
    yield from names


def _machine_names() -> Iterator[str]:
    names = {socket.gethostname(), platform.node()}
    names |= {name.split(".")[0] for name in names}
    yield from names


def _learner() -> Iterator[str]:
    from sandbox import record

    yield json.loads(record.path().read_text()).get("learner", "")


def _sandbox_names() -> Iterator[str]:
    yield from {*paths.sandbox_ids(), settings.read("SANDBOX_ID")} - {"default"}


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) > 3 and not value.startswith("/"):
            yield value


def _folders() -> Iterator[str]:
    found = {str(Path(__file__).parents[1]), sys.prefix}
    for find in (Path.cwd, tempfile.gettempdir, paths.data_dir, paths.run_root):
        with contextlib.suppress(Exception):
            found.add(str(find()))
    for name, value in os.environ.items():
        if VARIABLES.match(name) and (value := value.removeprefix("unix://")).startswith("/"):
            found.add(value)
    common = {"/", "/tmp", "/usr", "/usr/local", "/var/run/docker.sock"}
    yield from {path for path in found | {os.path.realpath(p) for p in found} if path not in common}


def write(file: Path | None = None) -> Path:
    """Write the report, and return its file: readable by its owner alone, at most 256 KiB.

    file: where to; else in the folder of the moment. A part that fails says so in its place.
    Raises SandboxError if the file cannot be written or is there already.
    """
    hide = Redaction.of_this_machine()
    text = "".join(_section(name, find, hide) for name, find in _parts())
    file = file or Path(time.strftime("wire-by-wire-report-%Y%m%d-%H%M%S.txt"))
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8", errors="replace") as output:
            output.write(text)
    except OSError as error:
        raise SandboxError(
            f"The report could not be written to {file}.",
            why=error.strerror or str(error),
            fix=f"name another file: {course('report --file FILE')}",
        ) from error
    return file.absolute()


def _parts() -> Iterator[tuple[str, Callable[[], str]]]:
    yield "This machine", _machine
    yield "Doctor", _doctor
    try:
        # Those used last.
        folders = [paths.state_dir(name) for name in paths.sandbox_ids()]
        folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    except Exception as error:
        yield "Sandboxes", partial(_failed, error)
        folders = []
    for number, folder in enumerate(folders[:SANDBOXES], 1):
        yield f"Sandbox {number} of {len(folders)}: status", partial(_status, folder.name)
        for log in logs():
            yield f"Sandbox {number}: the end of {log}", partial(_end, folder / log)
    yield "The hosts' packages", _packages
    yield "Python packages", _python


def logs() -> list[str]:
    """The names of the logs that a sandbox's folder may have."""
    return ["companion.log", *(log for engine in ENGINES.values() for log in engine.logs)]


def _section(name: str, find: Callable[[], str], hide: Redaction) -> str:
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(find())
        except BaseException as error:
            answers.put(_failed(error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        text = answers.get(timeout=PART_SECONDS)
    except queue.Empty:
        text = f"(no answer within {PART_SECONDS} s)"
    # Four numbers with dots are a version there.
    text = hide(text, addresses="packages" not in name).strip()
    if len(text) > PART_CHARACTERS:
        text = f"…{text[-PART_CHARACTERS:]}"
    return f"== {name} ==\n{text or '(empty)'}\n\n"


def _failed(error: BaseException) -> str:
    return f"(this part failed: {type(error).__name__}: {error})"


def _machine() -> str:
    try:
        course = importlib.metadata.version("docker-networking-wire-by-wire")
    except importlib.metadata.PackageNotFoundError:
        course = "not installed"
    lines = [
        f"course: {course}",
        f"python: {sys.version}",
        f"system: {platform.platform()}",
        f"processors: {os.cpu_count()}",
        f"memory: {memory.limit() >> 20} MiB, {memory.available() >> 20} MiB of it available",
        f"locale: {sys.getfilesystemencoding()}",
    ]
    with contextlib.suppress(OSError):
        lines += Path("/etc/os-release").read_text().splitlines()[:1]
    for name, value in sorted(os.environ.items()):
        if VARIABLES.match(name):
            lines.append(f"{name}={'[secret]' if SECRET_NAME.search(name) else value}")
    with contextlib.suppress(OSError, SandboxError):
        space = os.statvfs(paths.cache_dir())
        lines.append(f"free where the cache is: {space.f_bavail * space.f_frsize >> 20} MiB")
    return "\n".join(lines)


def _doctor() -> str:
    from sandbox.hosts import sandbox as sandboxes
    from sandbox.status import doctor

    found = doctor(sandboxes.default_id())
    for name in ENGINES:
        # They have a part of their own.
        found[name].pop("packages", None)
    return _told(found)


def _status(sandbox_id: str) -> str:
    from sandbox.status import status

    return _told(status(sandbox_id))


def _packages() -> str:
    return "\n".join(line for engine in ENGINES.values() for line in engine.packages())


def _python() -> str:
    found = {f"{each.name} {each.version}" for each in importlib.metadata.distributions()}
    return "\n".join(sorted(found, key=str.lower))


def _end(log: Path) -> str:
    """The log's last lines, from the beginning of one."""
    if not log.exists():
        return "(none)"
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        text = file.read(LOG_BYTES).decode(errors="replace")
    return text if size <= LOG_BYTES else text.partition("\n")[2]


def _told(found: Any, name: str = "") -> str:
    """One line for each value in it."""
    if isinstance(found, dict):
        return "\n".join(_told(value, f"{name}.{key}".strip(".")) for key, value in found.items())
    if isinstance(found, list) and found:
        return "\n".join(_told(value, f"{name}[{at}]") for at, value in enumerate(found))
    return f"{name}: {found}"
