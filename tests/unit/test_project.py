"""Rules of the project that a machine can hold us to."""

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from sandbox import labs
from scripts import cheat_sheet, lab_notebooks

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sandbox"
# Which layer a module belongs to; it imports from its own layer or lower ones.
LAYERS = {
    "errors": 0, "memory": 0, "paths": 0, "progress": 0, "shell": 0, "guest": 0,
    "command": 1, "engine": 1, "record": 1, "share": 1,
    "hosts": 2, "host": 2, "capabilities": 3, "model": 3, "actions": 3, "sandbox": 4, "status": 5,
    "questions": 5, "magic": 5, "events": 5, "views": 5, "workshop": 5,
    "capture": 5,
    "advice": 6, "comparison": 6, "capacity": 6, "faults": 6, "journey": 6,
    "labs": 7, "widgets": 7, "show": 8, "wall": 8, "report": 8,
    "__init__": 9, "__main__": 10,
}  # fmt: skip
MAY_IMPORT_DOCKER = {"engine", "host", "hosts", "actions"}
NOTEBOOKS = sorted(ROOT.glob("lessons/*.ipynb"))


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("path", "name"), list(modules()), ids=str)
def test_imports_go_down_the_layers(path, name):
    for imported in imports(path):
        top, *rest = imported.split(".")
        if top == "sandbox" and rest and rest[0] in LAYERS:
            assert LAYERS[rest[0]] <= LAYERS[name], f"{name} imports {imported}"
        if top == "docker":
            assert name in MAY_IMPORT_DOCKER, f"{name} imports docker"


def test_conda_and_pip_install_the_same():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {name.replace("docker-py", "docker") for name in conda if name != "pip"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert conda == {*project["dependencies"], f"python{project['requires-python']}"}


def test_make_help_lists_every_target():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))
    said = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in said.splitlines() if line.startswith("make ")} == targets


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "requirements-test.lock",
        "requirements-teach.lock",
        "requirements-site.lock",
        "binder/requirements.lock",
    ],
)
def test_a_lock_file_pins_every_package_by_the_hashes_of_its_files(name):
    for line in (ROOT / name).read_text().replace(" \\\n", "").splitlines():
        assert re.fullmatch(
            r"[a-z0-9-]+==[^ ]+( ; \w+ == '\w+')?(    --hash=sha256:[0-9a-f]{64})+|#.*", line
        ), line


def test_pip_installs_nothing_without_a_hash():
    """But the course itself, which is here, and the tool that writes the locks."""
    for name in ("Makefile", "binder/Dockerfile", "scripts/kit/build.py", "scripts/kit/setup.sh"):
        text = (ROOT / name).read_text().replace("\\\n", "")
        for line in text.splitlines():
            if "pip install " in line and ":=" not in line:
                assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line, line
    make = (ROOT / "Makefile").read_text()
    assert "LOCKED := $(INSTALL) --require-hashes" in make
    assert re.findall(r"\$\(INSTALL\) (.*)", make) == [
        "--require-hashes --requirement", "--no-deps --no-build-isolation --editable .",
    ]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_committed_executed(path):
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        source = "".join(cell["source"])
        if source.startswith("%%host"):
            assert cell["outputs"] or re.search(r"> /dev/null\s*$", source), source
        # A widget of a kernel that has ended would be shown as an error.
        assert "widget-view" not in json.dumps(cell["outputs"]), source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_shell_cells_are_short_and_so_is_their_output(path):
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and source.startswith("%%host"):
            most = 60 if " --save " in source.splitlines()[0] else 9
            assert len(source.splitlines()) <= most, source
            text = "".join("".join(out.get("text", "")) for out in cell["outputs"])
            assert len(text.splitlines()) <= 25, source


def test_what_is_not_committed_goes_into_no_image():
    """Such as the submissions and grades of a class."""
    committed, image = (
        {line.strip("*/") for line in (ROOT / name).read_text().splitlines()}
        for name in (".gitignore", ".dockerignore")
    )
    assert committed <= image


def test_no_path_of_one_machine_is_committed():
    names = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        path = ROOT / name
        if path.is_file():
            # The image of the course has an account of that name.
            pattern = rb"/home/(?!jovyan)[a-z]+/|/root/\.|\.pyenv"
            assert not re.search(pattern, path.read_bytes()) or path == Path(__file__), name


def test_the_cheat_sheet_is_the_table_of_lesson_08():
    assert (ROOT / "lessons/cheat-sheet.md").read_text(encoding="utf-8") == cheat_sheet.page()


@pytest.mark.parametrize("name", labs.names())
def test_a_labs_notebook_is_written_from_its_definition(name):
    path = ROOT / "labs" / name / f"{name}.ipynb"
    assert path.read_text(encoding="utf-8") == lab_notebooks.page(name)


def test_every_lab_is_listed():
    listed = (ROOT / "labs/README.md").read_text(encoding="utf-8")
    for name in labs.names():
        lab = labs.load(name)
        assert f"| [{name}]({name}/{name}.ipynb) | {lab.minutes} | {lab.title} |" in listed


def test_what_varies_in_lessons_is_written_as_nbval_reads_it():
    kept = configparser.RawConfigParser()
    kept.read(ROOT / "tests/lessons/sanitize.cfg")
    for name in kept.sections():
        re.compile(kept.get(name, "regex"))
        assert kept.get(name, "replace")


@pytest.mark.exhaustive
def test_the_tests_of_a_file_go_to_one_worker():
    files = ["tests/unit/test_events.py", "tests/unit/test_practice.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--no-loadscope-reorder", *files]
    env = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    seen = re.findall(r"^\[(gw\d)\].* (tests/\S+?)::", said.stdout, re.MULTILINE)
    workers = {file: {worker for worker, name in seen if name == file} for file in files}
    assert {file: len(found) for file, found in workers.items()} == dict.fromkeys(files, 1)
