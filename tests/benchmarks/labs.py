"""Measure grading: python -m tests.benchmarks.labs [LAB] [SUBMISSIONS].

The reference solution of that lab (the first one) by as many learners (4), by one worker and by
two. Memory is the most that a worker's processes had resident together, QEMU's and Python's.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat

from sandbox.labs import load, names
from sandbox.labs.batch import entries, grade_all
from tests.benchmarks.measure import table

PAGE = os.sysconf("SC_PAGE_SIZE")


def hand_in(folder, lab, count):
    for number in range(count):
        solution = load(lab, f"learner-{number}").hidden().solution
        cells = [nbformat.v4.new_code_cell(f"%%host {host}\n{text}") for host, text in solution]
        path = folder / f"learner-{number}" / lab / f"{lab}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def resident(words):
    """Bytes that processes with one of those words in their command lines have resident."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            if any(word in line for word in words):
                total += int((folder / "statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total


def measure(folder, lab, jobs, count):
    most, ended = 0, threading.Event()

    def watch():
        nonlocal most
        while not ended.wait(0.5):
            most = max(most, resident(["sandboxes/grade-", "sandbox.labs\0grade\0"]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    reports = grade_all(entries(folder), folder / f"graded-{jobs}", jobs, lambda *_: None)
    took = time.monotonic() - began
    ended.set()
    watcher.join()
    assert all(report["earned"] == report["points"] for report in reports), reports
    yield f"a submission of {lab}, {jobs} at once", [took / count * jobs], "s"
    yield "submissions in an hour", [3600 * count / took], ""
    yield "memory of a worker at most", [most / jobs / 2**20], "MiB"


def main(words):
    lab = words[0] if words else names()[0]
    count = int(words[1]) if words[1:] else 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hand_in(folder, lab, count)
        table([row for jobs in (1, 2) for row in measure(folder, lab, jobs, count)])


main(sys.argv[1:])
