"""Run every test, also those that `make test` leaves out, in parts of less than an hour.

python scripts/test_all.py [--workers 2] [--minutes 50] [TEST...]

What became of each test is kept in build/test-all, by commit, and no test that has ended is run
again, green or red: after an interruption, run this once more and it goes on. To begin from the
start, remove the commit's file there.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = ROOT / "tests/seconds.json"
SUITES = ("unit", "integration", "lessons", "labs", "browser")


def pytest(*arguments: str) -> list[str]:
    """The command line of a run that knows every test."""
    return [sys.executable, "-m", "pytest", "--exhaustive", *arguments]


def git(*arguments: str) -> str:
    """What git says of the checkout. Raises SystemExit where it cannot."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else sys.exit(done.stderr.strip())


def collected(tests: list[str]) -> list[str]:
    """The ids of all tests. Raises SystemExit with pytest's words where it cannot collect them."""
    # The image's tests need root, as in the Makefile.
    ignored = ["--ignore=tests/integration/test_image.py"] if os.getuid() else []
    # With options of somebody's own it would list them in another form.
    done = subprocess.run(
        pytest("--collect-only", "-q", *ignored, *tests),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return [line for line in done.stdout.splitlines() if "::" in line]


def parts(ids: list[str], seconds: float, known: dict[str, float]) -> list[list[str]]:
    """Tests by parts that take a worker about so many seconds each.

    known: how long a file takes, or a lesson or lab by its id (tests/seconds.json).
    """
    scopes: dict[str, list[str]] = {}
    for name in ids:
        scopes.setdefault(name if name in known else name.partition("::")[0], []).append(name)
    found, left = [], 0.0
    for scope, names in scopes.items():
        took = known.get(scope, 3 * len(names))
        if not found or took > left:
            found.append([])
            left = seconds
        found[-1] += names
        left -= took
    return found


def outcomes(record: Path) -> dict[str, str]:
    """What became of each test that has ended: {id: passed or failed}."""
    lines = record.read_text().splitlines() if record.exists() else []
    return {name: outcome for outcome, _, name in (line.partition(" ") for line in lines)}


def main() -> int:
    """Run what has not ended yet; 0 if all has passed at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=50, help="of a part")
    parser.add_argument(
        "tests", nargs="*", metavar="TEST", default=[f"tests/{name}" for name in SUITES]
    )
    options = parser.parse_args()
    if git("status", "--porcelain"):
        sys.exit("Commit your changes first, so that the result is that of one commit.")
    record = ROOT / "build/test-all" / git("rev-parse", "HEAD")
    record.parent.mkdir(parents=True, exist_ok=True)
    ids = collected(options.tests)
    ended = outcomes(record)
    left = [name for name in ids if name not in ended]
    known = json.loads(SECONDS.read_text())
    found = parts(left, options.minutes * 60 * options.workers, known)
    for number, part in enumerate(found, 1):
        print(f"Part {number} of {len(found)}: {len(part)} tests", flush=True)
        names = record.with_suffix(".part")
        names.write_text("\n".join(part))
        subprocess.call(
            pytest(
                "--no-skip",
                "-n",
                str(options.workers),
                "--no-loadscope-reorder",
                f"--record={record}",
                f"@{names}",
            ),
            cwd=ROOT,
        )
    ended = outcomes(record)
    counts = Counter(ended.get(name, "not run") for name in ids)
    print("\n".join(f"{outcome} {name}" for name, outcome in ended.items() if outcome != "passed"))
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{record.name}: {said}")
    return int(set(counts) != {"passed"})


if __name__ == "__main__":
    sys.exit(main())
