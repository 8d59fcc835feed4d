"""The hosts' image as an Engine builds it, the course's as BinderHub builds and starts it.

The course's has no network, no rights, one processor. Chromium enters the container's own network;
nothing else of this machine does.
"""

import json
import os
import platform
import re
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from sandbox.engine import archive, assets, image, kuryr, qemu, snapshot
from sandbox.hosts.plan import recipe
from sandbox.labs.batch import entries
from sandbox.labs.job import manifests
from sandbox.steps import Quiet
from tests.browser.notebook import new_cell, open_lesson
from tests.hosts import until
from tests.labs.test_batch import LAB, hand_in, whole
from tests.nobody import USER
from tests.podman import ROOT, Podman

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(900, func_only=True),
    pytest.mark.skipif(os.getuid() != 0, reason="its limits of memory and processors need root"),
]
MEBIBYTE = 2**20
# What BinderHub has a container run: helm-chart/binderhub/values.yaml (cmd) and
# binderhub/binderspawner_mixin.py (arguments), jupyterhub/binderhub b9fad99.
BASE = "/user/ada/"
TOKEN = "a-token-of-binders"
COMMAND = [
    "python3",
    "-c",
    "import os, sys, jupyterlab; os.execvp('jupyter-lab', sys.argv)",
    "--ip=0.0.0.0",
    "--port=8888",
    *(
        f"--{name}.{option}"
        for name in ("NotebookApp", "ServerApp")
        for option in (f"base_url={BASE}", f"token={TOKEN}", "trust_xheaders=True")
    ),
]


@pytest.fixture(scope="module")
def storage():
    # Short, as the path of a socket has 107 bytes; and on a disk, which /tmp may not be.
    tool = Podman(Path(tempfile.mkdtemp(prefix="i-", dir="/var/tmp")))
    try:
        yield tool
    finally:
        tool.close()


@pytest.fixture(scope="module")
def hosts(storage):
    """The folder that is the root of the hosts' image, and the image's name."""
    storage.debian(f"debian:{assets.packages()['suite']}-slim")
    with storage.engine() as client:
        name = image.ensure(client, Quiet())
        assert image.present(client)
        assert client.images.get(name).labels[image.LABEL] == "host"
    yield Path(storage("image", "mount", name).strip()), name
    # The course's image has the room.
    storage("image", "unmount", name)
    storage("rmi", "--all", "--force")


def content(folder):
    """What is in a folder: each file's path, bytes, executable bits."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode & 0o111)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_hosts_image_has_the_guests_files(hosts):
    root, _ = hosts
    guest = content(assets.GUEST)
    # What the VM's root has, without what only the VM itself runs.
    there = {name: guest[name] for name in {*assets.ROOT_FILES} - {"mux.py", "vm-init"}}
    assert content(root / assets.LIB[1:]) == there
    assert there["host-entrypoint"][1] == 0o111
    assert (root / "usr/local/bin/vm").readlink() == Path(assets.LIB, "vm.py")
    kuryr_there = content(root / kuryr.PLACE[1:])
    for name in guest:
        folder, _, rest = name.partition("/")
        if folder == "kuryr":
            assert kuryr_there[rest] == guest[name]


def test_the_hosts_image_has_nothing_of_its_building(hosts):
    root, _ = hosts
    listed = assets.packages()
    assert [found for pattern in listed["drop"] for found in root.glob(pattern)] == []
    assert [*root.glob("usr/share/doc/*/changelog*"), *root.glob("usr/lib/modules/*")] == []
    for folder in ("tmp", "var/cache/apt", "var/lib/apt/lists"):
        assert not [path for path in (root / folder).rglob("*") if path.is_file()], folder
    # The name server and the name of the machine that built it.
    for name in ("etc/resolv.conf", "etc/hostname"):
        assert not (root / name).exists() or not (root / name).read_bytes(), name
    for place in (assets.LIB, kuryr.PLACE, "/usr/share/wire-by-wire"):
        found = [root / place[1:], *(root / place[1:]).rglob("*")]
        assert {(path.lstat().st_uid, path.lstat().st_gid) for path in found} == {(0, 0)}, place


def test_the_hosts_image_has_the_small_vm(hosts):
    root, _ = hosts
    folder = root / assets.VM[1:]
    if platform.machine() != "x86_64":
        assert [*folder.iterdir()] == []
        return
    # Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"
    assert (folder / "vmlinuz").read_bytes()[0x202:0x206] == b"HdrS"
    assert (folder / "initrd").read_bytes().startswith(b"070701")
    # QEMU's migration/savevm.h, QEMU_VM_FILE_MAGIC; it was saved once it had booted.
    assert (folder / "state").read_bytes()[:4] == b"QEVM"
    assert json.loads((folder / "boot.json").read_text())["seconds"] > 0


def test_a_hosts_programs_run(storage, hosts):
    _, name = hosts
    with storage.container(name, "sleep", "600") as host:

        def run(*words):
            return storage("exec", host, *words)

        shown = run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n")
        installed = {line.split()[1] for line in shown.splitlines() if line.startswith("installed")}
        assert set(assets.packages()["packages"]) <= installed
        # The small VM is made of the kernel; a host does not boot one of its own.
        assert not [package for package in installed if "-cloud-" in package]
        for program in (
            "dockerd",
            "docker",
            "docker-init",
            "containerd",
            "crun",
            "tcpdump",
            "nft",
            "iptables",
            "ip",
            "bridge",
            "qemu-system-x86_64",
            "curl",
        ):
            version = "-V" if program in ("ip", "bridge") else "--version"
            assert re.search(r"\d", run(program, version)), program
        for program in (
            "brctl",
            "conntrack",
            "dig",
            "ethtool",
            "ipvsadm",
            "less",
            "mknod",
            "modprobe",
            "mount",
            "ping",
            "ps",
            "setsid",
        ):
            run("sh", "-c", f"command -v {program}")
        for module in ("agent", "attempt", "capture", "state", "vm", "vm_build"):
            run("env", f"PYTHONPATH={assets.LIB}", "python3", "-c", f"import {module}")
        run("sh", "-n", f"{assets.LIB}/host-entrypoint")
        # All of its byte code is for the Python that is there.
        kuryr_runs = "import sys; from kuryr_libnetwork import app, server; "
        site = f"{kuryr.PLACE}/site"
        tag = run(
            "env",
            f"PYTHONPATH={site}",
            "python3",
            "-W",
            "ignore",
            "-c",
            kuryr_runs + "print(sys.implementation.cache_tag)",
        ).split()[-1]
        for path in run("find", site, "-name", "*.py").splitlines():
            compiled = Path(path).parent / f"__pycache__/{Path(path).stem}.{tag}.pyc"
            assert hosts[0].joinpath(str(compiled)[1:]).exists(), path


def test_a_hosts_toolbox_serves(storage, hosts):
    root, _ = hosts
    archive = root / assets.TOOLBOX[1:]
    with tarfile.open(archive) as tar:
        sizes = {member.name.removeprefix("./"): member.size for member in tar}
    assert {"etc/resolv.conf", "etc/hostname"} & sizes.keys() == set()
    dropped = tuple(f"{path}/" for path in assets.packages()["toolbox"]["drop"])
    assert sum(size for name, size in sizes.items() if name.startswith(dropped)) == 0
    # As a host's entrypoint imports it.
    storage("import", "--change", 'CMD ["serve"]', archive, "toolbox")
    with storage.container("toolbox", options=["--cap-add=net_bind_service"]) as served:
        look = ("exec", served, "sh", "-c", "wget -q -O - http://127.0.0.1 || true")
        assert until("the toolbox serves", lambda: storage(*look), 30)
        for program in ("dig", "curl", "iperf3", "ip", "ping", "nc", "tcpdump", "vi", "less"):
            storage("exec", served, "sh", "-c", f"command -v {program}")
        certificates = storage("exec", served, "cat", "/etc/ssl/certs/ca-certificates.crt")
        assert certificates.count("BEGIN CERTIFICATE") > 50


@pytest.fixture(scope="module")
def podman(storage, request):
    """Storage with the course's image.

    The hosts' files in it are those of this cache, which `make test` builds with an image build's
    rights (test_build.py); `make test-all` has the image's build make them.
    """
    storage.debian()
    packed = None
    if not request.config.option.exhaustive:
        packed = storage.folder / "hosts"
        base = assets.base(Quiet())
        taken = snapshot.take(recipe(2), base, qemu.accelerator(base)[0], Quiet())
        archive.pack(packed, taken)
    storage.build(ROOT / "binder/Dockerfile", "course", packed)
    return storage


@pytest.fixture(scope="module")
def course(podman):
    """The id of a container that runs JupyterLab."""
    with podman.container("course", *COMMAND) as made:
        yield made


def python(podman, course, code):
    return podman("exec", course, "python", "-c", f"import sandbox; {code}")


def test_the_image_is_small(podman):
    assert int(podman("image", "inspect", "--format={{.Size}}", "course")) <= 1.6e9
    pushed = podman.folder / "pushed"
    podman("push", "--compress", "course", f"dir:{pushed}")
    assert sum(path.stat().st_size for path in pushed.iterdir()) <= 600e6
    shutil.rmtree(pushed)


def test_the_session_has_no_rights_and_no_network(podman, course):
    status = podman("exec", course, "cat", "/proc/1/status")
    assert re.search(r"^Uid:\t1000\t1000\t1000\t1000$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
    assert podman("exec", course, "ls", "/sys/class/net").split() == ["lo"]
    # What a Hub's own learners are started by.
    assert podman("exec", course, "jupyterhub-singleuser", "--version").startswith("5.")


def test_the_hosts_were_not_built_there(podman, course):
    podman("exec", course, "python", "-m", "sandbox", "up")
    log = podman("exec", course, "cat", "/tmp/wire-by-wire-build.log")
    assert "Unpacking the hosts" in log
    assert "What the hosts need is ready" in log
    assert "for the first time" not in log
    ran = python(podman, course, "print(sandbox.host('a').run('docker run --rm toolbox true'))")
    assert "code=0" in ran
    podman("exec", course, "python", "-m", "sandbox", "down")


@pytest.fixture(scope="module")
def page(podman, course):
    """A page of Chromium's, in the container's network."""
    listens = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 8888)))"
    until("JupyterLab listens", lambda: python(podman, course, listens).strip() == "0", 60)
    pid = podman("inspect", "--format={{.State.Pid}}", course).strip()
    chromium = podman.folder / "chromium"
    chromium.write_text(
        f'#!/bin/sh\nexec nsenter --net=/proc/{pid}/ns/net {shutil.which("chromium")} "$@"\n'
    )
    chromium.chmod(0o755)
    with sync_playwright() as session:
        browser = session.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        expect.set_options(timeout=60_000)
        page = browser.new_page(viewport={"width": 1400, "height": 1500})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


SERVER = f"http://127.0.0.1:8888{BASE}lab", f"?token={TOKEN}"


def code_cells(podman, course, lesson):
    cells = json.loads(podman("exec", course, "cat", f"lessons/{lesson}"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_all(page, podman, course, lesson, tmp_path):
    """Run a lesson's cells, and return them, their errors and the most memory meanwhile."""
    # As nobody has run it, so that what is there was run here.
    podman(
        "exec",
        course,
        "jupyter",
        "nbconvert",
        "--clear-output",
        "--inplace",
        "--log-level=ERROR",
        f"lessons/{lesson}",
    )
    assert not any(cell["execution_count"] for cell in code_cells(podman, course, lesson))
    open_lesson(page, SERVER, lesson)
    for name in ("Run", "Run All Cells"):
        page.get_by_role("menuitem", name=name, exact=True).click()
    most, deadline = 0, time.monotonic() + 600
    while True:
        assert time.monotonic() < deadline, "the lesson's cells took longer than 600 s"
        page.keyboard.press("Control+S")
        time.sleep(3)
        most = max(most, podman.resident(course))
        try:
            code = code_cells(podman, course, lesson)
        except json.JSONDecodeError:
            continue  # It is being saved.
        errors = [out for cell in code for out in cell["outputs"] if out["output_type"] == "error"]
        if errors or all(cell["execution_count"] for cell in code):
            page.screenshot(path=tmp_path / "lesson.png")
            return code, errors, most


@pytest.mark.parametrize(
    "lesson",
    ["00-start-here.ipynb", pytest.param("04-overlay.ipynb", marks=pytest.mark.exhaustive)],
)
def test_a_lesson_runs_there(podman, course, page, lesson, tmp_path):
    stored = json.loads((ROOT / "lessons" / lesson).read_text())["cells"]
    code, errors, most = run_all(page, podman, course, lesson, tmp_path)
    assert len(code) == sum(cell["cell_type"] == "code" for cell in stored)
    assert errors == []
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert most <= 1600 * MEBIBYTE


def test_the_panel_launches_a_container(podman, course, page, tmp_path):
    open_lesson(page, SERVER, "00-start-here.ipynb")
    cell = new_cell(page, "import sandbox; sandbox.up(2, fresh=True); sandbox.panel()")
    page.keyboard.press("Control+Enter")
    panel = cell.locator(".wire-by-wire-panel")
    expect(panel.locator(".wbw-canvas canvas")).to_be_visible()
    panel.get_by_role("tab", name="Containers").click()
    name = panel.locator(".wire-by-wire-field:visible").filter(
        has=page.get_by_text("Name", exact=True)
    )
    name.locator("input").fill("web")
    panel.get_by_role("button", name="Launch", exact=True).click()
    expect(panel.locator(".wire-by-wire-command code")).to_contain_text("docker run -d --name web")
    expect(panel.locator(".wbw-canvas")).to_have_attribute(
        "aria-label", re.compile(r"\b1 container")
    )
    page.screenshot(path=tmp_path / "panel.png")
    seen = python(podman, course, "print(sandbox.host('a').run('docker ps').stdout)")
    assert " web" in seen


def test_a_terminal_there_has_the_courses_python(podman, course, page):
    podman("exec", course, "python", "-m", "sandbox", "up")
    open_lesson(page, SERVER, "00-start-here.ipynb")
    for entry in ("File", "New", "Terminal"):
        page.get_by_text(entry, exact=True).first.click()
    page.locator(".jp-Terminal .xterm-screen").click()
    page.keyboard.type("cd /; python -m sandbox status > /tmp/answer\n")
    look = ("exec", course, "sh", "-c", "cat /tmp/answer 2> /dev/null || true")
    until("the terminal answers", lambda: "host-b" in podman(*look), 60)


@pytest.mark.exhaustive
def test_a_pod_of_a_job_grades_a_submission_there(podman, tmp_path):
    hand_in(tmp_path, "ada", whole("ada"))
    (tmp_path / "graded").mkdir()
    for path in (tmp_path / "graded", *tmp_path.glob("submitted/**/*")):
        os.chown(path, USER, USER)
    _, job = manifests(entries(tmp_path / "submitted"), image="course", claim="-")
    [pod] = job["spec"]["template"]["spec"]["containers"]
    command = [word.replace("$(JOB_COMPLETION_INDEX)", "0") for word in pod["command"]]
    options = [
        # A pod's command is instead of the image's entry point.
        f"--entrypoint={json.dumps(command)}",
        f"--volume={tmp_path}/submitted:/class/submitted:ro",
        f"--volume={tmp_path}/graded:/class/graded",
    ]
    with podman.container("course", options=options) as graded:
        status = podman("wait", graded).strip()
        said = podman("logs", graded)
    assert status == "0", said
    report = json.loads((tmp_path / "graded" / "ada" / LAB / "report.json").read_text())
    assert report["earned"] == 110
