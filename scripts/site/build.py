"""Build the course as a site to read without running it.

python scripts/site/build.py [FOLDER]      build/site without an argument
"""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "lessons/*.ipynb",
    "lessons/*.md",
    "binder/README.md",
    "binder/badge.svg",
    "labs/README.md",
    "labs/*/*.ipynb",
)
# The lists of pages beside the text.
CONTENTS = """
```{toctree}
:hidden:
:caption: Lessons
:glob:
lessons/[0-9]*
lessons/cheat-sheet
lessons/progress
lessons/for-instructors
lessons/before-the-workshop
binder/README
```
```{toctree}
:hidden:
:caption: Labs
:glob:
labs/README
labs/*/[0-9]*
```
```{toctree}
:hidden:
:caption: The project
CHANGELOG
CONTRIBUTING
```
"""
_NOTEBOOK = re.compile(r'(<a href="[^":]+)\.ipynb(?=")')


def build(target: Path, root: Path = ROOT) -> int:
    """Write the site; gives Sphinx's exit status, which is not 0 for a link that leads nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        for pattern in PAGES:
            for path in root.glob(pattern):
                _copy(path, source / path.relative_to(root))
        with (source / "README.md").open("a", encoding="utf-8") as readme:
            readme.write(CONTENTS)
        shutil.copy(Path(__file__).with_name("conf.py"), source)
        # Pages of another time would stay.
        if (target / "objects.inv").exists():
            shutil.rmtree(target)
        options = ["-b", "html", "-W", "--keep-going", "-q", "-d", str(source / ".doctrees")]
        status = main([*options, str(source), str(target)])
    if status == 0:
        shutil.copy(target / "README.html", target / "index.html")
    return status


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ipynb":
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["metadata"]["language_info"]["pygments_lexer"] = "cell"
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                shown = output.get("data", {})
                if "text/html" in shown:
                    # Sphinx looks after the links of texts, not of outputs.
                    whole = "".join(shown["text/html"])
                    shown["text/html"] = _NOTEBOOK.sub(r"\1.html", whole)
        to.write_text(json.dumps(notebook), encoding="utf-8")
    else:
        shutil.copy(path, to)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "build" / "site"))
