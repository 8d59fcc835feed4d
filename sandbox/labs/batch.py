"""Grades a class: each submission in a process and a sandbox of its own, some at once."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import memory
from sandbox.errors import SandboxError
from sandbox.hosts.sandbox import down
from sandbox.labs.lab import COURSE, Lab, load, names

__all__ = [
    "OVERHEAD_SECONDS",
    "WORKER_MEMORY",
    "Entry",
    "entries",
    "entry_of",
    "grade_all",
    "kept",
    "workers",
    "write_table",
]

# Bytes that a worker may need: a VM of three hosts has 1216 MiB, QEMU and Python take some more.
# tests/benchmarks/labs.py measures what one takes: for lab 01 less than half of it.
WORKER_MEMORY = 1600 * 2**20
# Beyond what the submission's own cells may take: the sandbox, the set-up, the checks.
OVERHEAD_SECONDS = 240.0
REPORT, LOG = "report.json", "log"
COLUMNS = ("earned", "points", "error")


@dataclass(frozen=True, slots=True)
class Entry:
    """A submission of a class: submitted/STUDENT/LAB/LAB.ipynb, as nbgrader collects them.

    key: changes when the notebook or the lab does.
    """

    student: str
    lab: str
    notebook: Path
    key: str

    def folder(self, out: Path) -> Path:
        """Where its report comes to: OUT/STUDENT/LAB."""
        return out / self.student / self.lab


def entries(submitted: Path, lab: str | None = None, *, root: Path = COURSE) -> list[Entry]:
    """The submissions in a folder, of one lab or of all. root: the folder of labs.

    Raises SandboxError if there is no such folder.
    """
    if not submitted.is_dir():
        raise SandboxError(
            f"There is no folder {submitted}.",
            fix="It holds STUDENT/LAB/LAB.ipynb for each submission, as nbgrader collect makes it.",
        )
    known = names(root)
    found = []
    for path in sorted(submitted.glob("*/*/*.ipynb")):
        student, name = path.parent.parent.name, path.parent.name
        if name in known and path.stem == name and lab in (None, name):
            found.append(entry_of(student, name, path, root=root))
    return found


def entry_of(student: str, name: str, notebook: Path, *, root: Path = COURSE) -> Entry:
    """That submission of that lab. Raises SandboxError if there is no such lab or notebook."""
    try:
        return Entry(student, name, notebook, _key(notebook, load(name, student, root=root)))
    except OSError as error:
        raise SandboxError(f"{notebook} cannot be read.", why=error.strerror or "") from error


def _key(notebook: Path, lab: Lab) -> str:
    digest = hashlib.sha256(lab.learner.encode())
    code = [*lab.folder.glob("*.py"), *Path(__file__).parent.glob("*.py")]
    for path in (notebook, *sorted(code)):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def kept(entry: Entry, out: Path) -> dict[str, Any] | None:
    """The report that is there already of that very submission, or None."""
    with contextlib.suppress(OSError, ValueError):
        report = json.loads((entry.folder(out) / REPORT).read_text(encoding="utf-8"))
        if report.get("key") == entry.key:
            return dict(report)
    return None


def workers() -> int:
    """How many submissions this machine can grade at once: a processor and memory for each."""
    return max(1, min(os.cpu_count() or 1, memory.available() // WORKER_MEMORY))


def grade_all(
    found: list[Entry],
    out: Path,
    jobs: int,
    tell: Callable[[Entry, dict[str, Any]], None],
    *,
    root: Path = COURSE,
) -> list[dict[str, Any]]:
    """Grade those that are not graded yet; gives every report, in the same order.

    jobs: how many at once.  tell: called with each report as it comes; one that could not be
    graded has ``error``, and is tried again by the next call. Writes OUT/STUDENT/LAB/report.json
    and log.
    """
    out.mkdir(parents=True, exist_ok=True)
    reports: dict[Entry, dict[str, Any]] = {}
    todo = []
    for entry in found:
        if report := kept(entry, out):
            reports[entry] = report
        else:
            todo.append(entry)
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(_grade, entry, out, root, stop): entry for entry in todo}
        try:
            for done in as_completed(running):
                entry = running[done]
                reports[entry] = done.result()
                tell(entry, reports[entry])
        except BaseException:
            stop.set()
            raise
    return [reports[entry] for entry in found]


def write_table(found: list[Entry], reports: list[dict[str, Any]], path: Path) -> None:
    """Write the grades of a class as CSV, one line a submission."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["student", "lab", *COLUMNS])
        for entry, report in zip(found, reports, strict=True):
            table.writerow([entry.student, entry.lab, *(report.get(it, "") for it in COLUMNS)])


def _grade(entry: Entry, out: Path, root: Path, stop: threading.Event) -> dict[str, Any]:
    """One submission's report. Whatever becomes of its process, others go on."""
    if stop.is_set():
        return {"error": "broken off"}
    folder = entry.folder(out)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sandbox_id = f"grade-{uuid.uuid4().hex[:8]}"
    lab = load(entry.lab, entry.student, root=root)
    new = folder / "new.json"
    command = [
        sys.executable,
        "-m",
        "sandbox.labs",
        "grade",
        str(entry.notebook),
        "--lab",
        entry.lab,
        f"--learner={entry.student}",
        "--json",
        str(new),
        "--id",
        sandbox_id,
        "--quiet",
        "--labs",
        str(root),
    ]
    error = ""
    try:
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                error = _wait(process, lab.seconds + OVERHEAD_SECONDS, stop)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if not error and process.returncode not in (0, 1):
            said = (folder / LOG).read_text(errors="replace").strip()
            error = said[-500:] or f"ended with status {process.returncode}"
        if not error:
            report = json.loads(new.read_text(encoding="utf-8"))
            report["key"] = entry.key
            new.write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
            new.rename(folder / REPORT)
            return dict(report)
    except (OSError, ValueError) as problem:
        error = f"{type(problem).__name__}: {problem}"
    finally:
        with contextlib.suppress(SandboxError):
            down(id=sandbox_id, leave_lab=True)
    return {"lab": entry.lab, "learner": entry.student, "error": error}


def _wait(process: subprocess.Popen[bytes], seconds: float, stop: threading.Event) -> str:
    """Wait until it ends; gives "", or why it is not waited for any longer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stop.is_set():
            return "broken off"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
            return ""
    return f"took longer than {seconds:.0f} s"
