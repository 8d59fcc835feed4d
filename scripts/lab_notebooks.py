"""Write each lab's notebook from its definition.

python scripts/lab_notebooks.py
"""

from pathlib import Path

import nbformat

from sandbox.labs import load, names
from sandbox.labs.submission import notebook_text

ROOT = Path(__file__).parents[1] / "labs"


def page(name: str) -> str:
    """The notebook of that lab as text."""
    lab = load(name, root=ROOT)
    new, cell = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    hosts = "one host" if lab.hosts == 1 else f"{lab.hosts} hosts"
    cells = [
        new(
            f"# {lab.title}\n\nAbout {lab.minutes} minutes, on {hosts}. Run the next cell: it "
            "shows what there is to do, in names, subnets and ports that are yours alone. *Start* "
            "puts the hosts back as new and builds the scenario. *Check* says how each task "
            "stands, as often as you like; it changes nothing."
        ),
        cell(f'import sandbox\n\nlab = sandbox.lab("{name}")\nlab'),
        new(
            "## Your work\n\nWork in cells like these, as many as you like. A terminal does as "
            "well, unless you hand the notebook in: what is graded is what its `%%host` cells do, "
            "from top to bottom."
        ),
        *(cell(f"%%host {letter}\ndocker ps") for letter in "abcd"[: lab.hosts]),
        new(
            "## Look\n\nThe picture shows the hosts as they are now, and marks what changed since "
            "the one before."
        ),
        cell("sandbox.topology()"),
        new(
            "## Check\n\nThe same as the button, in words; and the hosts, with what is not yet as "
            "it should be in red."
        ),
        cell("lab.check()"),
        cell("lab.topology()"),
    ]
    return notebook_text(cells)


if __name__ == "__main__":
    for name in names(ROOT):
        (ROOT / name / f"{name}.ipynb").write_text(page(name), encoding="utf-8")
