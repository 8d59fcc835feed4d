"""Options and fixtures for every suite."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
# Kernels that nbval starts use this sandbox, and do not touch the developer's own. Each worker of
# pytest-xdist has one of its own; workers inherit the first one's name.
os.environ.setdefault("SANDBOX_ID", "test")
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["SANDBOX_ID"] += f"-{worker}"
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ["SANDBOX_ENGINE"] = "vm"
# A shell starts background jobs with SIGINT ignored, which all that tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--no-skip", action="store_true", help="a test that would be skipped fails instead"
    )


class ByFile(LoadScopeScheduling):
    """The tests of a file share fixtures and go to one worker; a lesson or lab goes to any."""

    def _split_scope(self, nodeid):
        file, _, _ = nodeid.partition("::")
        return nodeid if file.endswith(("test_lessons.py", "test_grading.py")) else file


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


def pytest_collection_modifyitems(config, items):
    """Time limits are those of a test that has the processors to itself, so each is multiplied by
    the number of workers that share them.
    """
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = limit.args[0] if limit else float(config.getini("timeout"))
        options = limit.kwargs if limit else {}
        item.add_marker(pytest.mark.timeout(seconds * WORKERS, **options), append=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and item.config.getoption("--no-skip") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skip was given: {report.longrepr}"
    if report.failed and (said := _console()):
        report.sections.append(("What the VM's kernel said", said))


def _console():
    """The end of what the kernel of the sandbox's VM printed, oops and panic; "" if nothing."""
    from sandbox.paths import state_dir

    path = state_dir(os.environ["SANDBOX_ID"]) / "console"
    return path.read_text(errors="replace")[-6000:] if path.exists() else ""


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """What a developer has learned stays as it is."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path / "data"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of the test's own, and a sandbox id that nothing runs under."""
    monkeypatch.setenv("SANDBOX_ID", f"unit{os.getpid()}")
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / "cache" / "wire-by-wire"


@pytest.fixture
def sockets(cache, monkeypatch):
    """A folder for sockets; pytest's own have too long a path for one."""
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        yield Path(folder)


@pytest.fixture(scope="session")
def sandbox_up():
    """Two hosts on the VM engine, removed at the session's end."""
    import sandbox

    yield sandbox.up(2, fresh=True)
    sandbox.down(leave_lab=True)


@pytest.fixture
def fresh(sandbox_up):
    """Two hosts as new."""
    import sandbox

    sandbox.up(2, fresh=True)
    return sandbox_up
