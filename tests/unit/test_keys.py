"""The name of what is built is made of what goes into it: a comment builds nothing again."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.engine import assets, image, kuryr, qemu, snapshot
from sandbox.hosts import plan

ROOT = Path(__file__).parents[2]
MAKERS = (
    *("engine/assets.py", "engine/snapshot.py", "engine/image.py", "engine/qemu.py"),
    *("engine/kuryr.py", "engine/archive.py", "engine/base.py", "hosts/plan.py"),
)
FILES = (
    *(*assets.ROOT_FILES, "initramfs-init", "kuryr/serve.py", "kuryr/requirements.lock"),
    "toolbox/usr/local/bin/serve",
)
TELL = """
from pathlib import Path
from sandbox.engine import assets, image, qemu, snapshot
from sandbox.hosts import plan
qemu.version, qemu.cpu = lambda: "10.0", lambda: "a processor"
print(assets.base_path().name, image.reference())
for count in (1, 2, 3, 4):
    for accelerator in ("tcg", "kvm"):
        print(snapshot.path(plan.recipe(count), assets.base_path(), accelerator).name)
"""


@pytest.fixture
def told(cache, monkeypatch):
    """The keys of the base, the image, and the snapshot of two hosts."""
    monkeypatch.setattr(qemu, "version", lambda: "10.0")

    def keys():
        base = assets.base_path()
        taken = snapshot.path(plan.recipe(2), base, "tcg")
        return {"base": base.name, "image": image.reference(), "snapshot": taken.name}

    return keys


@pytest.fixture
def changed(told):
    """Which keys differ from those that were there when the test began."""
    before = told()
    return lambda: {name for name, key in told().items() if key != before[name]}


def keys_of(folder, cache):
    return subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder),
            "HOME": str(cache),
            "WIRE_BY_WIRE_CACHE": str(cache),
        },
    ).stdout.split()


def test_another_comment_or_docstring_another_place_and_umask_change_no_key(tmp_path):
    before = keys_of(ROOT, tmp_path / "a")
    assert len({*before}) == 10
    copy = tmp_path / "elsewhere, it's"
    shutil.copytree(ROOT / "sandbox", copy / "sandbox")
    for name in MAKERS:
        path = copy / "sandbox" / name
        text, comments = re.subn(
            r"^( *)# ", r"\1# Another line.\n\1# ", path.read_text(), flags=re.M
        )
        text, docstrings = re.subn(r'^( *)"""(?=\S)', r'\1"""Another word. ', text, flags=re.M)
        assert comments + docstrings > 1
        path.write_text(text)
    for path in copy.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    assert keys_of(copy, tmp_path / "b") == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", ["content", "mode"])
def test_a_file_of_the_hosts_changes_what_it_goes_into(told, tmp_path, monkeypatch, name, change):
    before = told()
    shutil.copytree(assets.GUEST, tmp_path / "guest")
    monkeypatch.setattr(assets, "GUEST", tmp_path / "guest")
    assert told() == before
    path = tmp_path / "guest" / name
    if change == "content":
        path.write_bytes(path.read_bytes() + b"\n")
    else:
        path.chmod(path.stat().st_mode ^ 0o100)
    after = told()
    vm_alone = name in {"mux.py", "vm-init", "initramfs-init"}
    if (name, change) != ("initramfs-init", "mode"):
        assert after["base"] != before["base"]
        assert after["snapshot"] != before["snapshot"]
    assert (after["image"] == before["image"]) == vm_alone


def test_a_file_that_is_new_in_a_folder_counts(told, tmp_path, monkeypatch):
    before = told()
    shutil.copytree(assets.GUEST, tmp_path / "guest")
    (tmp_path / "guest/toolbox/srv/new").touch()
    monkeypatch.setattr(assets, "GUEST", tmp_path / "guest")
    assert not {*told().values()} & {*before.values()}


@pytest.mark.parametrize("part", ["packages", "kernel", "drop", "toolbox packages", "toolbox drop"])
def test_a_package_changes_every_key(changed, monkeypatch, part):
    listed = assets.packages()
    place = listed["toolbox"] if part.startswith("toolbox") else listed
    place[part.removeprefix("toolbox ")].append("one-more")
    monkeypatch.setattr(assets, "packages", lambda: listed)
    assert changed() == {"base", "image", "snapshot"}


def test_a_comment_in_the_list_of_packages_changes_no_key(changed, tmp_path, monkeypatch):
    shutil.copytree(assets.GUEST, tmp_path / "guest")
    with (tmp_path / "guest/packages.toml").open("a") as file:
        file.write("# Why.\n")
    monkeypatch.setattr(assets, "GUEST", tmp_path / "guest")
    assert changed() == set()


@pytest.mark.parametrize(
    ("module", "name", "value", "keys"),
    [
        (assets, "FORMAT", 0, {"base", "image", "snapshot"}),
        (assets, "MODULES", (*assets.MODULES, "drivers/net/veth"), {"base", "snapshot"}),
        (assets, "LINK_VM", "true", {"base", "image", "snapshot"}),
        (kuryr, "INPUTS", (), {"base", "image", "snapshot"}),
        (qemu, "_TCG_CPU", "max", {"snapshot"}),
        (qemu, "_CMDLINE", "quiet", {"snapshot"}),
        (qemu, "processors", lambda _: 7, {"snapshot"}),
        (qemu, "version", lambda: "11.1", {"snapshot"}),
        (snapshot, "DATA_SIZE", "7G", {"snapshot"}),
        (snapshot, "DATA_OPTIONS", ("-t", "xfs"), {"snapshot"}),
        (snapshot, "SITE", dataclasses.replace(snapshot.SITE, image="other"), {"snapshot"}),
        (snapshot, "memory", lambda _: 2048, {"snapshot"}),
        (plan, "LAN", "198.18.1.0/24", {"snapshot"}),
        (plan, "LAN_GATEWAY", "198.18.0.2", {"snapshot"}),
        (plan, "address", lambda host: f"198.18.0.{20 + ord(host[-1])}", {"snapshot"}),
        (plan, "dockerd_arguments", lambda _host, gateway_dns: ["--debug"], {"snapshot"}),
        (plan, "WARM_UP", ["true"], {"snapshot"}),
        (plan, "_lan", lambda _: {"name": "lan", "driver": "macvlan"}, {"snapshot"}),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_goes_into_a_build_changes_its_key(changed, monkeypatch, module, name, value, keys):
    monkeypatch.setattr(module, name, value)
    assert changed() == keys


@pytest.mark.parametrize("part", ["volume", "container", "host_config", "endpoint"])
def test_what_a_host_is_made_of_changes_the_snapshot(changed, monkeypatch, part):
    asked = plan._host

    def other(site, host):
        found = asked(site, host)
        return found | {part: found[part] | {"new": True}}

    monkeypatch.setattr(plan, "_host", other)
    assert changed() == {"snapshot"}


def test_the_memory_of_this_machine_is_in_no_key(changed, monkeypatch):
    monkeypatch.setattr(qemu, "translated_code", lambda: 333)
    assert changed() == set()
