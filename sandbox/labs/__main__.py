"""Labs from the command line: ``python -m sandbox.labs grade LAB.ipynb``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from sandbox.command import run
from sandbox.errors import SandboxError, course
from sandbox.labs.batch import Entry, entries, grade_all, kept, workers, write_table
from sandbox.labs.grade import grade
from sandbox.labs.job import manifests
from sandbox.labs.lab import COURSE, load, names
from sandbox.labs.submission import read
from sandbox.steps import Quiet, TextSteps

__all__ = ["main"]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and int(number) < int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is none of 0/N to N-1/N, such as 2/20")
    return int(number), int(of)


def _list(_options: argparse.Namespace) -> int:
    for name in names():
        lab = load(name)
        print(f"{name:24} {lab.points:3} points, {lab.minutes:2} minutes: {lab.title}")
    return 0


def _grade(options: argparse.Namespace) -> int:
    submission = read(options.notebook)
    name = options.lab or submission.lab or options.notebook.stem
    learner = submission.learner if options.learner is None else options.learner
    for path in filter(None, (options.json, options.junit)):
        if not path.parent.is_dir():
            raise SandboxError(f"{path} cannot be written.", why=f"there is no {path.parent}")
    lab = load(name, learner, root=options.labs)
    shown = Quiet() if options.quiet else TextSteps()
    report = grade(lab, submission, id=options.id, steps=shown)
    print(report)
    for path, text in ((options.json, report.to_json), (options.junit, report.to_junit)):
        if path:
            path.write_text(text() + "\n", encoding="utf-8")
    return 0 if report.complete else 1


def _submissions(options: argparse.Namespace) -> list[Entry]:
    found = entries(options.submitted, options.lab, root=options.labs)
    if not found:
        raise SandboxError(
            f"{options.submitted} has no submission of a lab.",
            fix="Notebooks are STUDENT/LAB/LAB.ipynb. To see the names of LAB: "
            + course("list", module="sandbox.labs"),
        )
    return found


def _grade_all(options: argparse.Namespace) -> int:
    number, of = options.shard
    found = _submissions(options)[number::of]
    jobs = options.jobs or workers()
    left = [entry for entry in found if not kept(entry, options.out)]
    print(f"{len(found)} submissions, {len(left)} of them to grade, {jobs} at once", flush=True)

    def tell(entry: Entry, report: dict[str, Any]) -> None:
        said = report.get("error") or f"{report['earned']} of {report['points']} points"
        print(f"{entry.student} {entry.lab}: {said}", flush=True)

    reports = grade_all(found, options.out, jobs, tell, root=options.labs)
    failed = sum("error" in report for report in reports)
    # Those who grade other parts at the same time would write it, too.
    if of == 1:
        table = options.out / "grades.csv"
        write_table(found, reports, table)
        print(f"{table} has every grade" + (f" but {failed}" if failed else ""))
    return 1 if failed else 0


def _job(options: argparse.Namespace) -> int:
    import yaml

    made = manifests(
        _submissions(options),
        image=options.image,
        claim=options.claim,
        name=options.name,
        jobs=options.jobs,
        lab=options.lab,
    )
    print(yaml.safe_dump_all(made, sort_keys=False), end="")
    return 0


def _source(options: argparse.Namespace) -> int:
    try:
        from sandbox.labs.nbgrader import write_sources
    except ImportError as error:
        raise SandboxError(
            "nbgrader is not installed.", why=str(error), fix="in the course's folder: make teach"
        ) from error
    chosen = options.lab or names(options.labs)
    for path in write_sources(options.course, chosen, root=options.labs):
        print(path)
    return 0


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
    grading.add_argument("--id", help="the sandbox's id; else a new one")
    grading.set_defaults(act=_grade)
    batch = commands.add_parser(
        "grade-all", help="grade a class; a second run goes on where the first stopped"
    )
    batch.add_argument("submitted", type=Path, help="a folder of STUDENT/LAB/LAB.ipynb")
    batch.add_argument("--out", type=Path, default=Path("graded"), help="where reports go")
    batch.add_argument("--lab", help="grade this lab alone")
    batch.add_argument("-j", "--jobs", type=_positive, help="how many at once; else what fits")
    batch.add_argument(
        "--shard",
        type=_shard,
        default=(0, 1),
        metavar="I/N",
        help="grade every N-th submission, from the I-th on, 0 to N-1; grades.csv is not written",
    )
    batch.set_defaults(act=_grade_all)
    job = commands.add_parser("job", help="print a Kubernetes Job that grades a class")
    job.add_argument("submitted", type=Path, help="a folder of STUDENT/LAB/LAB.ipynb")
    job.add_argument("--image", required=True, help="the course's image, as nodes pull it")
    job.add_argument("--claim", required=True, help="the volume claim that holds submitted/")
    job.add_argument("--name", default="grading", help="of the Job and the NetworkPolicy")
    job.add_argument("--lab", help="grade this lab alone")
    job.add_argument("-j", "--jobs", type=_positive, default=4, help="how many pods at once")
    # Pods have the course's own labs.
    job.set_defaults(act=_job, labs=COURSE)
    source = commands.add_parser("source", help="write nbgrader's source notebooks")
    source.add_argument("lab", nargs="*", help="labs' names; else all")
    source.add_argument("--course", type=Path, default=Path("labs"), help="nbgrader's course")
    source.set_defaults(act=_source)
    for command in (grading, batch, source):
        command.add_argument(
            "--labs", type=Path, default=COURSE, metavar="FOLDER", help="the folder of labs"
        )

    def act() -> int:
        options = parser.parse_args(arguments)
        try:
            return int(options.act(options))
        except OSError as error:
            if error.filename is None:
                raise
            raise SandboxError(f"{error.filename}: {error.strerror}.") from error

    return run(act, failed=2, interrupted=2, said="Broken off; its sandboxes are removed.")


if __name__ == "__main__":
    # Whoever ends it otherwise would leave its sandbox running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
