"""Have JupyterLab trust the course's notebooks as they came, so that their pictures draw.

JupyterLab takes the scripts out of a notebook that this account has not run whole. One that was
changed since the last commit is left to JupyterLab, which trusts what this account ran itself.
"""

import contextlib
import subprocess
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

ROOT = Path(__file__).parents[1]


def as_they_came() -> set[Path]:
    """The notebooks as committed; all of them in a course that came without its history."""
    found = {path for folder in ("lessons", "labs") for path in (ROOT / folder).glob("*.ipynb")}
    if not (ROOT / ".git").exists():
        return found
    committed, changed = (_listed(*option) for option in ((), ("--modified",)))
    return found & (committed - changed)


def _listed(*options: str) -> set[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *options, "*.ipynb"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {ROOT / name for name in said.split("\0") if name}


def trust(paths: set[Path]) -> None:
    """Sign these notebooks. JupyterLab says of a file that is no notebook what is wrong with it."""
    notary = NotebookNotary()
    for path in paths:
        with contextlib.suppress(ValueError, nbformat.ValidationError):
            notary.sign(nbformat.read(path, as_version=4))


try:
    trust(as_they_came())
except OSError as error:
    print(f"A lesson's pictures will be text until you run their cells: {error}")
