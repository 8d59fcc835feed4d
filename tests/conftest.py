"""Options and fixtures for every suite."""

import json
import os
import signal
import socket
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from docker.transport.unixconn import UnixHTTPConnection
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
BUILD = "tests/integration/test_build.py"
# How long what goes to one worker takes, in seconds: build/seconds.json of a whole run.
SECONDS = ROOT / "tests/seconds.json"
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
    parser.addoption(
        "--exhaustive", action="store_true", help="run what only `make test-all` runs, too"
    )
    parser.addoption("--record", type=Path, help="a file to which each test's outcome is added")


def scope_of(nodeid):
    """What a test shares its worker with: its file, or nothing where a lesson or lab is run."""
    file, _, _ = nodeid.partition("::")
    return nodeid if file.endswith(("test_lessons.py", "test_grading.py")) else file


class ByFile(LoadScopeScheduling):
    """The tests of a file share fixtures and go to one worker; a lesson or lab goes to any."""

    def _split_scope(self, nodeid):
        return scope_of(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


def pytest_collection_modifyitems(config, items):
    """Time limits are those of a test that has the processors to itself, so each is multiplied by
    the number of workers that share them. The hosts' files are built first, beside the tests that
    need none. Then what takes longest begins first, so that all workers end at about the same time.
    """
    if not config.option.exhaustive:
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = limit.args[0] if limit else float(config.getini("timeout"))
        options = limit.kwargs if limit else {}
        item.add_marker(pytest.mark.timeout(seconds * WORKERS, **options), append=False)
    if "PYTEST_XDIST_WORKER" in os.environ:
        known = json.loads(SECONDS.read_text())
        tests = Counter(scope_of(item.nodeid) for item in items)
        took = {scope: known.get(scope, 3 * count) for scope, count in tests.items()}

        def place(item):
            scope = scope_of(item.nodeid)
            needs_hosts = not scope.startswith("tests/unit/")
            return scope != BUILD, needs_hosts, -took[scope], scope

        items.sort(key=place)


class Record:
    """What became of the tests of a run, where they are reported: not in its workers."""

    def __init__(self, path):
        self.path, self.took, self.worst = path, Counter(), {}

    def pytest_runtest_logreport(self, report):
        self.took[scope_of(report.nodeid)] += report.duration
        if not report.passed:
            self.worst[report.nodeid] = report.outcome
        if report.when == "teardown" and self.path:
            with self.path.open("a") as file:
                file.write(f"{self.worst.get(report.nodeid, 'passed')} {report.nodeid}\n")

    def pytest_sessionfinish(self):
        """Write down how long each scope took; what was not run keeps what is known of it."""
        if not self.took:
            return
        took = {scope: max(1, round(seconds)) for scope, seconds in self.took.items()}
        known = json.loads(SECONDS.read_text()) | took
        (ROOT / "build").mkdir(exist_ok=True)
        text = json.dumps(known, indent=1, sort_keys=True)
        (ROOT / "build/seconds.json").write_text(f"{text}\n")


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Record(config.option.record))


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


@pytest.fixture(scope="session", autouse=True)
def _docker_leaves_no_socket_open():
    """docker-py leaves one to the garbage collector where nobody listens, with a warning."""

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self.unix_socket)
        except OSError:
            sock.close()
            raise
        self.sock = sock

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnixHTTPConnection, "connect", connect)
        yield


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
def hosts_files(tmp_path_factory):
    """The hosts' files, built with the rights of a Docker build where they are not there yet."""
    from scripts import build_as_docker

    # What failed once in a run is not tried again by each worker.
    folder = tmp_path_factory.getbasetemp()
    failed = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "no-hosts-files"
    if failed.exists() or build_as_docker.main([]):
        failed.touch()
        pytest.fail("The hosts' files could not be built.", pytrace=False)


@pytest.fixture(scope="session")
def sandbox_up(hosts_files):
    """Two hosts on the VM engine, removed at the session's end."""
    import sandbox

    yield sandbox.up(2, fresh=True, leave_lab=True)
    sandbox.down(leave_lab=True)


@pytest.fixture(scope="module", autouse=True)
def _begins_as_new(request):
    """A file's tests meet hosts as new, whatever else their worker has run."""
    items = [item for item in request.session.items if item.path == request.path]
    if any("sandbox_up" in item.fixturenames for item in items):
        request.getfixturevalue("sandbox_up")
        import sandbox

        sandbox.up(2, fresh=True, leave_lab=True)


@pytest.fixture
def fresh(sandbox_up):
    """Two hosts as new."""
    import sandbox

    sandbox.up(2, fresh=True)
    return sandbox_up
