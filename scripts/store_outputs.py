"""Run lessons from top to bottom and store what their cells print.

python scripts/store_outputs.py [NOTEBOOK...]      every lesson without an argument
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


def store(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        store_widget_state=False,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    # A widget ends with its kernel; its text is what can be stored of it.
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    # Which Python ran it is no part of the lesson.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)
    print(f"stored {path.relative_to(ROOT)}")


# A stored output shows the progress of somebody who begins.
with tempfile.TemporaryDirectory() as folder:
    os.environ["WIRE_BY_WIRE_DATA"] = folder
    for name in sys.argv[1:] or sorted((ROOT / "lessons").glob("*.ipynb")):
        store(Path(name).resolve())
