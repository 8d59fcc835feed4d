"""Have JupyterLab trust the course's notebooks as they came, so that their pictures draw.

    python scripts/trust.py          those as committed
    python scripts/trust.py --new    all: of a course that was copied here just now

JupyterLab takes the scripts out of a notebook that this account has not run whole. One that has
changed since, or came from elsewhere, is left to JupyterLab, which trusts what was run here.
"""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

ROOT = Path(__file__).parents[1]
# What nbformat raises for a file that is no notebook.
UNREADABLE = (ValueError, nbformat.ValidationError, AttributeError, KeyError, TypeError)


def committed() -> set[Path]:
    """The notebooks that are as git has them; none where there is no git, or it knows of none."""
    return _listed() - _listed("--modified")


def _listed(*options: str) -> set[Path]:
    command = ["git", "ls-files", "-z", *options, "lessons/*.ipynb", "labs/*.ipynb"]
    if not shutil.which("git"):
        return set()
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    return {ROOT / name for name in said.split("\0") if name}


def trust(paths: set[Path]) -> None:
    """Sign these notebooks. JupyterLab says of a file that is no notebook what is wrong with it."""
    notary = NotebookNotary()
    for path in paths:
        with contextlib.suppress(*UNREADABLE):
            notary.sign(nbformat.read(path, as_version=4))


def main(words: list[str]) -> None:
    found = [*ROOT.glob("lessons/*.ipynb"), *ROOT.glob("labs/**/*.ipynb")]
    there = {path for path in found if path.is_file()}
    try:
        trust(there if words == ["--new"] else committed())
    except (OSError, sqlite3.Error) as error:
        print(f"You will see a lesson's pictures as text until you run their cells: {error}")


main(sys.argv[1:])
