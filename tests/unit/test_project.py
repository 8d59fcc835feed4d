"""Rules of the project that a machine can hold us to."""

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

import sandbox
from sandbox import labs
from scripts import cheat_sheet, lab_notebooks, mutations

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sandbox"
# From the ground up: a room knows those of the lines above its own, and no other of its line.
LAYERS = [
    {"guest", "memory", "settings", "steps"},
    {"errors"},
    {"paths"},
    {"command", "engine", "model", "record"},
    {"views"},
    {"hosts"},
    {"lessons", "magic", "status"},
    {"labs"},
    {"course", "widgets"},
    {"report", "room", "show"},
    {"__init__"},
    {"__main__"},
]
MAY_IMPORT_DOCKER = {"engine", "hosts"}
NOTEBOOKS = sorted(ROOT.glob("lessons/*.ipynb"))
ALL_NOTEBOOKS = [*NOTEBOOKS, *sorted(ROOT.glob("labs/*/*.ipynb"))]


def room(module):
    """The folder or the file at the root of the package that a module is in."""
    return [*module.split("."), "__init__"][1]


def imported_by(path, names):
    """What a file imports, in functions and for types too: modules of ours, and other packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            # What is no module is a name that the package itself has.
            found |= {name if name in names else node.module for name in whole}
    return found


@pytest.fixture(scope="module")
def imports():
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    return {name: imported_by(path, paths) for name, path in paths.items()}


def test_every_room_has_its_layer(imports):
    assert {room(name) for name in imports} == set().union(*LAYERS)


def test_imports_go_down_the_layers(imports):
    level = {name: at for at, names in enumerate(LAYERS) for name in names}
    upward = [
        f"{name} imports {found}"
        for name, all_found in imports.items()
        for found in all_found & imports.keys()
        if room(found) != room(name) and level[room(found)] >= level[room(name)]
    ]
    assert not upward


def test_no_modules_import_each_other(imports):
    ours = {name: found & imports.keys() - {name} for name, found in imports.items()}
    # It raises CycleError, which names the circle.
    assert len([*TopologicalSorter(ours).static_order()]) == len(imports)


def test_only_engines_and_hosts_know_the_docker_sdk(imports):
    know = {
        name for name, found in imports.items() if any(re.match(r"docker\b", it) for it in found)
    }
    assert {room(name) for name in know} <= MAY_IMPORT_DOCKER


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
        "--require-hashes --requirement",
        "--no-deps --no-build-isolation --editable .",
    ]


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


def test_every_file_that_a_text_names_is_there():
    """In documents, comments and docstrings, and in strings too; within the package, from there."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    start = "|".join(sorted(folders | {"sandbox", "scripts", "tests"}))
    suffix = "cfg|css|js|json|py|sh|toml"
    path = rf"(?<![\w./-])(?:{start})/[\w./-]*\.(?:{suffix})\b|(?<=`)scripts/[\w-]+(?=`)"
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    wrong = [
        f"{name} names {found}"
        for name in listed.splitlines()
        if re.search(r"\.(js|md|py|sh|toml|yaml)$|^Makefile$|/Dockerfile$", name)
        for found in re.findall(path, (ROOT / name).read_text(encoding="utf-8"))
        if not ((ROOT / found).exists() or (PACKAGE / found).exists())
    ]
    assert not wrong


def test_every_call_that_a_text_names_works_after_import_sandbox():
    """In documents, in the cells of notebooks, and in what labs say."""
    public = {*sandbox.__all__, *(f"lessons.{name}" for name in sandbox.lessons.__all__)}
    documents = (
        path for part in (".", "lessons", "labs", "binder") for path in ROOT.glob(f"{part}/*.md")
    )
    texts = {path: path.read_text(encoding="utf-8") for path in documents}
    for path in ALL_NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path] = "\n".join("".join(cell["source"]) for cell in cells)
    for path in ROOT.glob("labs/*/*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts[path] = "\n".join(str(it.value) for it in nodes if isinstance(it, ast.Constant))
    named = [
        (path.name, name)
        for path, text in texts.items()
        for name in re.findall(r"\bsandbox\.([\w.]+)\(", text)
    ]
    assert len(named) > 100
    assert not [f"{path} names sandbox.{name}()" for path, name in named if name not in public]


@pytest.mark.parametrize("path", ALL_NOTEBOOKS, ids=lambda p: p.stem)
def test_what_a_cell_imports_of_the_course_is_there(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("%%"):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("sandbox"):
                    exec(ast.unparse(node), {})


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


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda it: it.name)
def test_each_mutation_has_its_one_place_in_the_code_and_its_tests(mutation):
    assert (ROOT / mutation.file).read_text().count(mutation.was) == 1
    files = {word.partition("::")[0] for word in mutation.tests.split() if "/" in word}
    assert files
    assert all((ROOT / file).exists() for file in files)


@pytest.mark.exhaustive
def test_the_tests_of_a_file_go_to_one_worker():
    files = ["tests/unit/test_events.py", "tests/unit/test_practice.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--no-loadscope-reorder", *files]
    env = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    seen = re.findall(r"^\[(gw\d)\].* (tests/\S+?)::", said.stdout, re.MULTILINE)
    workers = {file: {worker for worker, name in seen if name == file} for file in files}
    assert {file: len(found) for file, found in workers.items()} == dict.fromkeys(files, 1)
