"""Building the sandbox's files: with the rights that Binder's image build has, and with panics."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from sandbox import SandboxError
from sandbox.engine import assets, qemu, snapshot
from sandbox.hosts import plan
from sandbox.paths import cache_dir
from sandbox.steps import Quiet
from scripts import build_as_docker


def test_the_hosts_files_were_built_with_the_rights_of_a_docker_build(hosts_files, tmp_path):
    refused = build_as_docker.limited("unshare", "--mount", "true")
    assert subprocess.run(refused, check=False, capture_output=True).returncode, (
        "these rights allow more than a Docker build's"
    )
    base = assets.base(Quiet())
    used = {base.name, snapshot.path(plan.recipe(2), base, qemu.accelerator(base)[0]).name}
    # Those of another day may have been built with more.
    if not used <= build_as_docker.built().keys():
        built = subprocess.run(
            build_as_docker.limited(sys.executable, "-m", "sandbox", "build", "--hosts", "1"),
            env={**os.environ, "WIRE_BY_WIRE_CACHE": str(tmp_path), "SANDBOX_ACCELERATOR": "tcg"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stdout + built.stderr
        made = (tmp_path / "wire-by-wire").iterdir()
        names = sorted(folder.name.split("-")[0] for folder in made if folder.is_dir())
        assert names == ["base", "snapshot"]


def test_a_boot_that_panics_is_tried_again_and_the_last_one_is_told_with_its_last_words(
    hosts_files, tmp_path, monkeypatch
):
    spawn, cmdline = qemu.spawn, qemu._CMDLINE
    boots, prepared = [], []

    def first_without_an_init(*arguments):
        boots.append(arguments)
        nothing = " rdinit=/nothing" if len(boots) == 1 else ""
        monkeypatch.setattr(qemu, "_CMDLINE", cmdline + nothing)
        return spawn(*arguments)

    def panic(client, _site, _progress):
        log = cache_dir() / "last-failed-boot.log"
        prepared.append(log.read_bytes())
        command = ["sh", "-c", "echo c > /proc/sysrq-trigger"]
        client.containers.run("host", command, privileged=True, network_mode="none")

    monkeypatch.setattr(qemu, "spawn", first_without_an_init)
    monkeypatch.setattr(snapshot, "BOOTS", 2)
    recipe = dataclasses.replace(plan.recipe(1), key=f"panics {tmp_path}", prepare=panic)
    base = assets.base(Quiet())
    with pytest.raises(SandboxError, match=r"QEMU ended with status 0 .*\n.*[Kk]ernel panic"):
        snapshot.take(recipe, base, "tcg", Quiet())
    assert len(boots) == 2
    [first] = prepared
    assert b"Kernel panic" in first
    assert b"sysrq" not in first
    assert b"sysrq" in (cache_dir() / "last-failed-boot.log").read_bytes()
    assert not snapshot.path(recipe, base, "tcg").exists()
