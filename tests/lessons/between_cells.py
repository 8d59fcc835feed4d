"""A plugin of nbval: what a lesson's text claims is looked for on the hosts, between its cells.

``checks/05-ipvlan.py`` has what is checked while lesson 05 runs and its outputs do not tell. A
check is a function of the lesson's two hosts that fails by an assertion. It leaves the hosts as it
finds them, for the next cells are compared. After the quiz only the reset follows: what changes
something belongs there.
"""

import importlib
import sys
import traceback
from collections import defaultdict
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, NbCellError

_found = []


def after(text):
    """The check is made once the one cell has run whose source has this text."""

    def keep(check):
        _found.append((text, check))
        return check

    return keep


def checks_of(folder, name):
    """What is checked of that notebook: pairs of a cell's text and a function."""
    _found.clear()
    if (folder / f"{name}.py").exists():
        pytest.register_assert_rewrite(name)
        sys.path.insert(0, str(folder))
        importlib.import_module(name)
        sys.path.remove(str(folder))
    return list(_found)


def place(checks, sources):
    """Which checks are made after which cell: {its place in sources: [function]}.

    Raises pytest.UsageError where a text is not that of exactly one cell.
    """
    placed = defaultdict(list)
    for text, check in checks:
        fits = [at for at, source in enumerate(sources) if text in source]
        if len(fits) != 1:
            raise pytest.UsageError(
                f"{check.__name__} is to be made after the cell with {text!r}, and"
                f" {len(fits)} cells have that text"
            )
        placed[fits[0]].append(check)
    return placed


def pytest_addoption(parser):
    parser.addoption("--checks", type=Path, help="the folder with what is checked of each notebook")


def pytest_collection_modifyitems(config, items):
    by_notebook = defaultdict(list)
    for item in items:
        if isinstance(item, IPyNbCell):
            by_notebook[item.path].append(item)
    for path, cells in by_notebook.items():
        found = checks_of(config.option.checks, path.stem)
        for at, checks in place(found, [it.cell.source for it in cells]).items():
            cells[at].checks = checks


_run = IPyNbCell.runtest


def runtest(self):
    _run(self)
    for check in getattr(self, "checks", ()):
        import sandbox

        try:
            check(*(sandbox.host(name) for name in "ab"))
        # What pytest.raises waits for in vain is none of the first.
        except (Exception, pytest.fail.Exception) as error:
            what = f"after it, {check.__name__} found: {error}"
            raise NbCellError(
                self.cell_num, what, self.cell.source, traceback.format_exc()
            ) from error


def pytest_configure():
    pytest.register_assert_rewrite("tests.hosts")
    # The checks import this very module, and it may have been loaded by another name.
    sys.modules.setdefault("between_cells", sys.modules[__name__])
    IPyNbCell.runtest = runtest
