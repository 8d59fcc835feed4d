"""Put today's front end into the lessons' stored pictures, without running a lesson.

python scripts/front_end.py [NOTEBOOK...]      every lesson without an argument
"""

import re
import sys
from pathlib import Path

import nbformat

from sandbox.views.topology import carried, front_end

ROOT = Path(__file__).parents[1]
SCRIPT = re.compile(r"(?<=<script>\n).*?(?=\n</script>)", re.DOTALL)
# pyvis's library, packed: it stays as it was stored, as each zlib packs it in its own way.
LIBRARY = re.compile(r'"H4sI[A-Za-z0-9+/=]+"')


def renewed(page: str) -> str:
    """A picture's stored HTML with the scripts that draw it as they are today."""

    def script(found: re.Match[str]) -> str:
        library = LIBRARY.search(found[0])
        if not library:
            return front_end("wait.js")
        return LIBRARY.sub(lambda _: library[0], carried())

    return SCRIPT.sub(script, page)


def renew(path: Path) -> bool:
    """Renew all pictures of a notebook; gives whether any changed."""
    notebook = nbformat.read(path, as_version=4)
    changed = False
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            page = output.get("data", {}).get("text/html", "")
            if "wire-by-wire-topology" in page and (now := renewed(page)) != page:
                output.data["text/html"] = now
                changed = True
    if changed:
        nbformat.write(notebook, path)
    return changed


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted((ROOT / "lessons").glob("*.ipynb")):
        if renew(Path(name).resolve()):
            print(f"renewed {Path(name).name}")
