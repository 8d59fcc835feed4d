"""Building the sandbox's files: with the rights that Binder's image build has, and with panics."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest

from sandbox import SandboxError, hosts
from sandbox.engine import assets, qemu, snapshot
from sandbox.paths import cache_dir
from sandbox.progress import Quiet

# docs.docker.com/engine/containers/run: "Runtime privilege and Linux capabilities".
DOCKERS_CAPABILITIES = (
    "audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod",
    "net_bind_service", "net_raw", "setfcap", "setgid", "setpcap", "setuid", "sys_chroot",
)  # fmt: skip


@pytest.mark.timeout(600)
def test_the_files_are_built_with_the_rights_of_a_docker_build(tmp_path):
    kept = ",".join(["-all", *(f"+{name}" for name in DOCKERS_CAPABILITIES)])
    # An account without root has none of them anyway.
    limited = [] if os.getuid() else ["setpriv", f"--inh-caps={kept}", f"--bounding-set={kept}"]
    refused = subprocess.run([*limited, "unshare", "--mount", "true"], check=False,
                             capture_output=True)  # fmt: skip
    assert refused.returncode != 0, "these rights allow more than a Docker build's"
    built = subprocess.run(
        [*limited, sys.executable, "-m", "sandbox", "build", "--hosts", "1"],
        env={**os.environ, "WIRE_BY_WIRE_CACHE": str(tmp_path), "SANDBOX_ACCELERATOR": "tcg"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    made = (tmp_path / "wire-by-wire").iterdir()
    names = sorted(folder.name.split("-")[0] for folder in made if folder.is_dir())
    assert names == ["base", "snapshot"]


def test_a_vm_that_dies_while_it_is_built_says_so_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "BOOTS", 1)

    def panic(client, _site, _progress):
        command = ["sh", "-c", "echo c > /proc/sysrq-trigger"]
        client.containers.run("host", command, privileged=True, network_mode="none")

    recipe = dataclasses.replace(hosts.recipe(1), key=f"panics {tmp_path}", prepare=panic)
    base = assets.base(Quiet())
    with pytest.raises(SandboxError, match=r"QEMU ended with status 0 .*\n.*[Kk]ernel panic"):
        snapshot.take(recipe, base, "tcg", Quiet())
    assert b"sysrq" in (cache_dir() / "last-failed-boot.log").read_bytes()
    assert not snapshot.path(recipe, base, "tcg").exists()


def test_a_boot_that_panics_is_tried_again(tmp_path, monkeypatch):
    spawn, cmdline = qemu.spawn, qemu._CMDLINE
    boots = []

    def first_without_an_init(*arguments):
        boots.append(arguments)
        nothing = " rdinit=/nothing" if len(boots) == 1 else ""
        monkeypatch.setattr(qemu, "_CMDLINE", cmdline + nothing)
        return spawn(*arguments)

    monkeypatch.setattr(qemu, "spawn", first_without_an_init)
    recipe = dataclasses.replace(hosts.recipe(1), key=f"boots {tmp_path}", prepare=lambda *_: None)
    folder = snapshot.take(recipe, assets.base(Quiet()), "tcg", Quiet())
    assert len(boots) == 2
    assert b"Kernel panic" in (cache_dir() / "last-failed-boot.log").read_bytes()
    shutil.rmtree(folder)
