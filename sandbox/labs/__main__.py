"""Labs from the command line: ``python -m sandbox.labs grade LAB.ipynb``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.labs.grade import grade
from sandbox.labs.lab import load, names
from sandbox.labs.submission import read
from sandbox.progress import Quiet, TextProgress

__all__ = ["main"]


def _list(_options: argparse.Namespace) -> int:
    for name in names():
        lab = load(name)
        print(f"{name:24} {lab.points:3} points, {lab.minutes:2} minutes: {lab.title}")
    return 0


def _grade(options: argparse.Namespace) -> int:
    submission = read(options.notebook)
    name = options.lab or submission.lab or options.notebook.stem
    lab = load(name, submission.learner if options.learner is None else options.learner)
    report = grade(lab, submission, progress=Quiet() if options.quiet else TextProgress())
    print(report)
    for path, text in ((options.json, report.to_json), (options.junit, report.to_junit)):
        if path:
            path.write_text(text() + "\n", encoding="utf-8")
    return 0 if report.complete else 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.labs", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the labs there are")
    listing.set_defaults(act=_list)
    grading = commands.add_parser(
        "grade", help="grade one notebook; the status is 0 if it has every point"
    )
    grading.add_argument("notebook", type=Path, metavar="LAB.ipynb")
    grading.add_argument("--lab", help="the lab's name; else the notebook says it")
    grading.add_argument("--learner", help="whose scenario it is; else the notebook says it")
    grading.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    grading.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit's XML")
    grading.add_argument("--quiet", action="store_true", help="say nothing of progress")
    grading.set_defaults(act=_grade)
    options = parser.parse_args(arguments)
    try:
        return int(options.act(options))
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
