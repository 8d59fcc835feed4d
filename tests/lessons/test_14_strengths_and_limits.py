"""What lesson 14 says beside what its cells print."""

import pytest

import sandbox
from sandbox import capacity
from sandbox.errors import SandboxError
from tests.hosts import ok

pytestmark = pytest.mark.engine
CTR = "CONTAINERD_ADDRESS=/run/docker/containerd/containerd.sock ctr -n other"
CAPABILITIES = "grep CapEff /proc/self/status"


def capabilities(host, options=""):
    said = ok(host, f"docker run --rm {options} toolbox {CAPABILITIES}")
    return int(said.split()[1], 16)


def test_density_counts_what_runs_and_stops_before_the_memory_ends(fresh, monkeypatch):
    a = fresh.host("a")
    found = sandbox.density(3)
    assert len(found.seconds) == len(found.memory) == 3
    assert all(0 < seconds < 60 for seconds in found.seconds)
    names = ok(a, "docker ps --filter network=crowd --format '{{.Names}}' | sort").split()
    assert names == ["crowd-1", "crowd-2", "crowd-3"]
    assert ok(a, "pgrep -c containerd-shim") == "3"
    with pytest.raises(SandboxError, match="new network crowd") as caught:
        sandbox.density(1)
    assert "already exists" in caught.value.why
    monkeypatch.setattr(capacity, "SPARE_MIB", 10**6)
    fresh.reset()
    with pytest.raises(SandboxError, match=r"host-b has \d+ MiB of memory left after 0 containers"):
        sandbox.density(2, host="b")


def test_an_image_has_one_digest_on_docker_and_on_containerd(fresh):
    a = fresh.host("a")
    ok(a, "tar -c -C /usr bin/busybox | docker import -c 'ENTRYPOINT [\"/bin/busybox\"]' - tiny")
    ok(a, f"docker save tiny | {CTR} images import -")
    digest = ok(a, "docker image inspect -f '{{.Id}}' tiny")
    assert f"gc.ref.content.config={digest}" in ok(a, f"{CTR} content ls")


def test_what_the_options_of_step_3_give_and_take(fresh):
    a = fresh.host("a")
    default = capabilities(a)
    assert default.bit_count() == 14
    assert default & ~capabilities(a, "--cap-drop NET_RAW") == 1 << 13
    assert capabilities(a, "--privileged") == int(ok(a, CAPABILITIES).split()[1], 16)
    listen = "toolbox timeout 2 tcpdump -Z root -i eth0"
    assert "listening on eth0" in a.run(f"docker run --rm {listen}").stderr
    refused = a.run(f"docker run --rm --cap-drop NET_RAW {listen}")
    assert "CAP_NET_RAW may be required" in refused.stderr
    ok(a, "docker run --rm --cap-drop ALL toolbox ping -c 1 172.17.0.1")
    mount = "toolbox mount -t tmpfs none /tmp"
    assert a.run(f"docker run --rm {mount}").code != 0
    ok(a, f"docker run --rm --cap-add SYS_ADMIN {mount}")
