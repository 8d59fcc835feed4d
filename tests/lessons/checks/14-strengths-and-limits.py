"""Lesson 14: what is compared without its digits, and what its tables say of options."""

import sys

import pytest
from between_cells import after

from sandbox.errors import SandboxError
from sandbox.lessons import density
from tests.hosts import ok

# The cell before the last, which puts the hosts back as new.
QUIZ = "quizzes/14-strengths-and-limits.toml"


# The next cell puts the hosts back as new.
@after("pgrep -c containerd-shim")
def density_counts_what_runs_and_stops_before_the_memory_ends(a, b):
    with pytest.raises(SandboxError, match="new network crowd") as caught:
        density(1)
    assert "already exists" in caught.value.why
    said = r"host-b has \d+ MiB of memory left after 0 containers"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SandboxError, match=said):
        patch.setattr(sys.modules["sandbox.lessons.density"], "SPARE_MIB", 10**6)
        density(2, host="b")
    ok(b, "docker network rm crowd")
    found = density(2, host="b")
    assert len(found.seconds) == len(found.memory) == 2
    assert all(0 < seconds < 60 for seconds in found.seconds)
    names = ok(b, "docker ps --filter network=crowd --format '{{.Names}}' | sort").split()
    assert names == ["crowd-1", "crowd-2"]
    assert ok(b, "pgrep -c containerd-shim") == "2"


@after("ctr -n other content ls")
def an_image_has_one_digest_on_docker_and_on_containerd(a, b):
    ctr = "CONTAINERD_ADDRESS=/run/docker/containerd/containerd.sock ctr -n other"
    digest = ok(a, "docker image inspect -f '{{.Id}}' tiny")
    assert f"gc.ref.content.config={digest}" in ok(a, f"{ctr} content ls")


@after('for options in "" --cap-drop=NET_RAW --privileged')
def a_privileged_container_has_what_the_host_has(a, b):
    # The cell prints this for it.
    assert ok(a, "grep CapEff /proc/self/status").split()[1] == "000001ffffffffff"


@after(QUIZ)
def without_raw_sockets_nothing_is_captured_and_ping_lives_on(a, b):
    capture = "timeout 2 tcpdump -Z root -i eth0"
    assert "listening on eth0" in a.run(f"docker exec ci {capture}").stderr
    refused = a.run(f"docker run --rm --cap-drop NET_RAW toolbox {capture}")
    assert "CAP_NET_RAW may be required" in refused.stderr
    ok(a, "docker run --rm --cap-drop ALL toolbox ping -c 1 172.17.0.1")


@after(QUIZ)
def sys_admin_gives_mounts(a, b):
    mount = "mount -t tmpfs none /tmp"
    assert "permission denied" in a.run(f"docker exec ci {mount}").stderr
    ok(a, f"docker run --rm --cap-add SYS_ADMIN toolbox {mount}")
