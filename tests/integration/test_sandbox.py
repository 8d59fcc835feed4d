"""The sandbox's life: attach, reset, faults, and that nothing is left behind."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from docker import DockerClient

import sandbox
from sandbox import SandboxError
from sandbox.engine import assets, qemu, snapshot
from sandbox.engine.vm import VMEngine
from sandbox.hosts import capabilities, plan
from sandbox.hosts.cell import run_cell
from sandbox.hosts.events import EngineEvents
from sandbox.paths import cache_dir, run_dir, run_root, sandbox_ids, state_dir
from sandbox.room import workshop
from sandbox.status import doctor, status
from sandbox.steps import Quiet
from tests.hosts import ok, until

pytestmark = pytest.mark.engine


def cell(line, text):
    written = []
    run_cell(line, text, written.append)
    return "".join(written)


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def test_hosts_have_names_addresses_and_the_toolbox(sandbox_up):
    for name, address in (("host-a", "198.18.0.11"), ("host-b", "198.18.0.12")):
        host = sandbox_up.host(name)
        assert host.run("hostname").stdout.strip() == name
        assert f"{address}/24" in host.run("ip -br addr show eth0").stdout
        [image] = host.client.images.list()
        assert image.tags == ["toolbox:latest"]
        assert image.attrs["Size"] < 70e6
        assert host.client.info()["DefaultRuntime"] == "crun"


def test_the_toolbox_has_every_program_of_its_description(sandbox_up):
    programs = "ip ping curl dig tcpdump nc iperf3 serve"
    assert sandbox_up.host("a").run(f"docker run --rm toolbox which {programs}").code == 0


def test_the_guests_clock_is_right_after_a_resume(fresh):
    assert abs(float(fresh.host("a").run("date +%s.%N").stdout) - time.time()) < 2


def test_there_is_no_way_out_by_default(sandbox_up):
    began = time.monotonic()
    assert sandbox_up.host("a").run("curl -s -m 10 http://192.0.2.1").code == 7
    assert time.monotonic() - began < 5


def test_internet_opens_the_way_to_this_machines_resolver(sandbox_up, own):
    box = sandbox.up(2, internet=True, id=own())
    assert box.host("a").run("ping -c 1 -W 2 198.19.255.2").code == 0
    # Whatever this machine's resolver says, or if it has none, the question goes out.
    ask = "docker run --rm toolbox dig +tries=1 +time=5 example.org"
    assert "refused" in sandbox_up.host("a").run(ask).stdout
    asked = box.host("a").run(ask).stdout
    assert "refused" not in asked
    # A host's own question goes there too, and without a way out it is answered at once.
    ask = "dig +tries=1 +time=5 example.org"
    assert "SERVFAIL" in sandbox_up.host("a").run(ask).stdout
    for answer in ("NOERROR", "NXDOMAIN"):
        assert (answer in asked) == (answer in box.host("a").run(ask).stdout)


def test_no_name_server_nor_name_of_the_machine_that_built_it_is_on_a_host(sandbox_up):
    said = ok(
        sandbox_up.host("a"),
        "cat /etc/resolv.conf; docker run --rm toolbox cat"
        " /etc/resolv.conf; tar -tf /usr/share/wire-by-wire/toolbox.tar",
    )
    assert set(re.findall(r"[0-9]+(?:\.[0-9]+){3}", said)) == {"127.0.0.11", plan.LAN_GATEWAY}
    assert not re.search("etc/(resolv.conf|hostname)", said.partition("./\n")[2])


def test_sockets_are_the_owners_alone_and_nothing_listens_on_tcp(sandbox_up):
    paths = list(run_dir(sandbox_up.id).iterdir())
    assert len(paths) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    pid = VMEngine().state(sandbox_up.id).pid
    inodes = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            assert f"socket:[{line.split()[9]}]" not in inodes


def busy(pid, seconds):
    """The part of a processor that a process takes during that many seconds."""

    def taken():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    before = taken()
    time.sleep(seconds)
    return (taken() - before) / seconds


def test_a_vm_that_nobody_uses_is_paused_until_somebody_does(own, monkeypatch):
    monkeypatch.setenv("SANDBOX_IDLE_SECONDS", "2")
    box = sandbox.up(2, id=own())
    pid = VMEngine().state(box.id).pid
    host = box.host("a")
    # A live picture follows events for as long as it is open.
    changed = threading.Event()
    events = EngineEvents([host], changed.set)
    try:
        host.run("docker run -d --name timer toolbox sh -c 'sleep 20; echo over'")
        time.sleep(4)
        assert busy(pid, 6) <= 0.02
        assert host.run("docker logs timer").stdout == ""
        assert abs(float(host.run("date +%s.%N").stdout) - time.time()) < 2
        # What is silent is at work.
        assert host.run("sleep 21; docker logs timer", timeout=60).stdout == "over\n"
        time.sleep(4)
        assert busy(pid, 2) <= 0.02
        changed.clear()
        assert host.client.containers.get("timer").status == "exited"
        host.client.containers.get("timer").remove()
        assert changed.wait(10)
    finally:
        events.close()
    time.sleep(4)
    box.reset(Quiet())
    assert host.run("docker ps -aq").stdout == ""


def test_reset_forgets_what_the_learner_did(fresh):
    fresh.host("a").run("docker run -d --name x toolbox; touch /root/left; ip link set eth0 down")
    fresh.reset(Quiet())
    assert fresh.host("a").run("docker ps -aq; ls /root").stdout == ""
    assert fresh.host("a").run("ping -c 1 -W 2 198.18.0.12").code == 0


def test_a_killed_kernel_finds_its_hosts_again(fresh):
    code = (
        "import sandbox, os, signal; sandbox.up(2).host('a').run('touch /root/mark');"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run(code).returncode == -signal.SIGKILL
    assert sandbox.up(2).host("a").run("ls /root").stdout == "mark\n"


def test_a_terminal_with_another_environment_finds_the_same_sandbox(fresh):
    pid = VMEngine().state(fresh.id).pid
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        up = subprocess.run(
            [sys.executable, "-m", "sandbox", "up"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": folder, "TMPDIR": folder},
        )
        assert up.returncode == 0, up.stderr
        assert not [*Path(folder).rglob("*.sock")]
    assert VMEngine().state(fresh.id).pid == pid


def test_a_sandbox_of_another_version_stays_until_it_may_go(fresh, monkeypatch):
    ok(fresh.host("a"), "touch /root/mark; docker network create mine")
    mine = assets.base_path()
    with monkeypatch.context() as upgraded:
        upgraded.setattr(assets, "base_path", lambda: mine.with_name("base-0123456789ab"))
        with pytest.raises(
            SandboxError, match=r"not the one you asked for\. Nothing was changed\."
        ) as caught:
            sandbox.up(2)
        assert "another version" in caught.value.why
        assert "host-a: 0 containers, 1 network of yours" in caught.value.why
        assert ok(sandbox.find().host("a"), "ls /root") == "mark"
    for other in ({"hosts": 3}, {"internet": True}):
        with pytest.raises(
            SandboxError, match=r"not the one you asked for\. Nothing was changed\."
        ):
            sandbox.up(**other)
    assert sandbox.up(2).host("a").run("ls /root").stdout == "mark\n"
    assert sandbox.up(2, fresh=True).host("a").run("ls /root").stdout == ""


def test_a_killed_vm_is_recovered_by_up(fresh):
    os.kill(VMEngine().state(fresh.id).pid, signal.SIGKILL)
    assert sandbox.up(2).host("a").run("true").code == 0


def test_a_panic_of_the_vm_is_named(fresh):
    with pytest.raises(SandboxError, match="host-a does not answer") as caught:
        fresh.host("a").run("echo c > /proc/sysrq-trigger", timeout=60)
    assert "its VM ended: " in caught.value.why
    assert "Kernel panic - not syncing: sysrq triggered crash" in caught.value.why
    assert sandbox.up(2).host("a").run("true").code == 0


def test_a_killed_supervisor_takes_the_vm_along_and_up_recovers(fresh):
    pid = VMEngine().state(fresh.id).pid
    parent = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
    os.kill(parent, signal.SIGKILL)
    assert sandbox.up(2).host("a").run("true").code == 0
    assert not Path(f"/proc/{pid}/exe").exists()


def test_a_killed_dockerd_shows_in_status_and_reset_repairs(fresh):
    fresh.host("b").run("pkill -9 dockerd; sleep 1")
    by_name = {host["name"]: host["problem"] for host in status(fresh.id)["hosts"]}
    assert by_name["host-a"] == ""
    assert "does not answer" in by_name["host-b"]
    fresh.reset(Quiet())
    assert not any(host["problem"] for host in status(fresh.id)["hosts"])


def test_an_agent_that_hangs_is_seen_and_one_that_is_killed_begins_again(fresh, monkeypatch):
    monkeypatch.setattr("sandbox.status.ANSWER_SECONDS", 3)
    outer = DockerClient(f"unix://{run_dir(fresh.id)}/engine.sock")
    inside = outer.containers.get("host-b")

    def problems():
        return [host["problem"] for host in status(fresh.id)["hosts"]]

    inside.exec_run("pkill -STOP -f agent.py.host")
    assert problems() == ["", "host-b does not answer."]
    assert doctor(fresh.id)["problem"].startswith("host-b does not answer.")
    inside.exec_run("pkill -KILL -f agent.py.host")
    outer.close()
    until("its agent is back", lambda: problems() == ["", ""], 30)
    score = "cat /proc/$(pgrep -f [a]gent.py.host)/oom_score_adj /proc/self/oom_score_adj"
    assert ok(fresh.host("b"), score).split() == ["-500", "0"]


def test_the_service_docker_is_restarted_and_containers_come_back(fresh):
    host = fresh.host("b")
    ok(host, "docker run -d --restart unless-stopped --name web toolbox")
    ok(host, "docker run -d --name once toolbox")
    ok(host, "service docker restart")
    until("docker answers", lambda: host.run("docker ps").code == 0, 60)
    until("web runs", lambda: host.run("docker exec web true").code == 0, 60)
    # It was killed at once, as the image asks for: 128 and SIGKILL.
    assert (
        ok(host, "docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' once") == "exited 137"
    )
    ok(host, "service docker status")


def test_a_cgroup_hands_on_its_controllers_while_its_processes_fork(sandbox_up):
    forking = "while :; do sleep 0.05 & sleep 0.01; done"
    ok(
        sandbox_up.host("a"),
        "for round in 1 2 3 4 5; do\n"
        "  group=/sys/fs/cgroup/forking; mkdir $group\n"
        "  for forker in 1 2 3; do\n"
        "    (echo $BASHPID > $group/cgroup.procs\n"
        f"     exec timeout 20 sh -c '{forking}') > /dev/null 2>&1 &\n"
        "  done\n"
        "  sleep 0.3\n"
        f"  {assets.LIB}/host-cgroups $group\n"
        "  cmp $group/cgroup.controllers $group/cgroup.subtree_control || found=differ\n"
        "  echo 1 > $group/cgroup.kill\n"
        "  until rmdir $group/init $group 2> /dev/null; do sleep 0.1; done\n"
        "done\n"
        '[ -z "$found" ]',
    )


def test_two_ups_at_once_give_one_sandbox(own):
    id, found = own(), []
    threads = [
        threading.Thread(target=lambda: found.append(sandbox.up(2, id=id))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2
    assert found[0].host("a").run("touch /root/one").code == 0
    assert found[1].host("a").run("ls /root").stdout == "one\n"


def test_a_lock_file_that_a_dead_process_left_stops_nobody(own):
    id = own()
    state_dir(id).mkdir(parents=True)
    for name in ("start.lock", "alive"):
        (state_dir(id) / name).write_text("4194305")
    assert sandbox.up(2, id=id).host("a").run("true").code == 0


def test_sandboxes_beside_each_other_share_nothing(fresh, own):
    other = sandbox.up(2, id=own())
    other.host("a").run("docker run -d --name x toolbox")
    assert fresh.host("a").run("docker ps -aq").stdout == ""


def damage(count):
    """Leave a snapshot of that many hosts that is cut off."""
    recipe = plan.recipe(count)
    base = assets.base(Quiet())
    folder = snapshot.path(recipe, base, qemu.accelerator(base)[0])
    folder.mkdir(exist_ok=True)
    (folder / "sizes.json").write_text('{"state": 1000}')
    (folder / "state").write_bytes(b"cut off")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_hosts_come_up_from_a_damaged_snapshot(own, count):
    damage(count)
    id = own()
    box = sandbox.up(count, id=id, steps=Quiet())
    addresses = set()
    for name in box.hosts:
        ok(
            box.host(name),
            f"for n in $(seq 11 {10 + count}); do ping -c 1 198.18.0.$n || exit; done",
        )
        ran = box.host(name).run("docker run --rm toolbox hostname -i")
        assert ran.code == 0, ran.stderr
        addresses.add(ran.stdout)
    assert len(addresses) == count
    assert status(id)["memory"] < 1800
    # Lessons begin with as many as they name, whatever was done before.
    assert sandbox.up(2, id=id, fresh=True).hosts == ("host-a", "host-b")
    assert len(status(id)["hosts"]) == 2


def test_fewer_hosts_than_there_are_is_the_sandbox_that_runs(sandbox_up):
    assert sandbox.up(1).hosts == sandbox_up.hosts == ("host-a", "host-b")


@pytest.mark.timeout(200)
def test_a_disk_that_fills_while_building_says_so_and_is_left_empty(tmp_path):
    base = assets.base(Quiet())
    script = f"""
import os, pathlib, subprocess
from sandbox.hosts import plan
from sandbox.engine import assets, qemu, snapshot
from sandbox.steps import Quiet
cache = pathlib.Path(os.environ["WIRE_BY_WIRE_CACHE"])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", cache], check=True)
(cache / {base.name!r}).symlink_to({str(base)!r})
assets.NEEDED_BYTES = 0
try:
    snapshot.take(plan.recipe(1), cache / {base.name!r}, "tcg", Quiet())
finally:
    print(sorted(p.name for p in cache.iterdir()))
"""
    (tmp_path / "cache").mkdir()
    result = subprocess.run(
        [
            "unshare",
            "--mount",
            *(["--user", "--map-root-user"] if os.getuid() else []),
            sys.executable,
            "-c",
            script,
        ],
        env={**os.environ, "WIRE_BY_WIRE_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "could not be written" in result.stderr, result.stderr
    assert "make room there" in result.stderr
    assert "snapshot-" not in result.stdout
    assert base.name in result.stdout


FILLS = """
import os, pathlib, subprocess, sys, threading, time
import sandbox
from sandbox.paths import cache_dir
from sandbox.status import doctor, status

cache, id, *folders = sys.argv[1:]
mount = ["mount", "-t", "tmpfs", "-o"]
subprocess.run([*mount, "size=120m", "tmpfs", cache], check=True)
for folder in folders:
    pathlib.Path(cache_dir(), pathlib.Path(folder).name).symlink_to(folder)
box = sandbox.up(2, id=id)
host = box.host("a")
filler = pathlib.Path(cache, "filler")
try:
    host.run("docker run -d --name loop toolbox sh -c 'while sleep 1; do date +%s; done'")
    filler.write_bytes(bytes(64 << 20))
    waiting = []

    def wait(act):
        try:
            waiting.append(act())
        except sandbox.SandboxError as error:
            waiting.append(error)

    threads = [threading.Thread(target=wait, args=(act,)) for act in (
        lambda: box.host("b").run("sleep 60"),
        lambda: box.host("b").client.containers.run("toolbox", "sleep 60"),
        lambda: host.run("dd if=/dev/urandom of=/var/lib/docker/big bs=1M count=100 conv=fsync"))]
    for thread in threads:
        thread.start()
        time.sleep(1)
    for thread in threads:
        thread.join(60)
    print("told", [getattr(it, "what", it) for it in waiting])
    began = time.monotonic()
    print("status", status(id)["problem"].splitlines()[0])
    print("doctor", doctor(id)["problem"].splitlines()[0])
    print("quick", time.monotonic() - began < 5)
    filler.unlink()
    subprocess.run([*mount, "remount,size=600m", "tmpfs", cache], check=True)
    began = time.monotonic()
    while status(id)["problem"] and time.monotonic() < began + 20:
        time.sleep(0.2)
    print("again", host.run("docker inspect -f '{{.State.Running}}' loop").stdout)
    print("problem", repr(status(id)["problem"]))
finally:
    box.down()
"""


@pytest.mark.timeout(200)
def test_a_disk_that_fills_under_the_hosts_is_named_and_work_goes_on_with_room(sandbox_up, own):
    base = assets.base(Quiet())
    folder = snapshot.path(plan.recipe(2), base, qemu.accelerator(base)[0])
    # A folder whose path is short, for the sockets.
    with tempfile.TemporaryDirectory(prefix="w") as private:
        cache = Path(private, "cache")
        cache.mkdir()
        result = subprocess.run(
            [
                "unshare",
                "--mount",
                *(["--user", "--map-root-user"] if os.getuid() else []),
                sys.executable,
                "-c",
                FILLS,
                cache,
                own(),
                base,
                folder,
            ],
            env={**os.environ, "WIRE_BY_WIRE_CACHE": str(cache), "TMPDIR": private},
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"The disk at {cache.resolve()} is full, so the sandbox has stopped."
        assert result.stdout == (
            f"told {[said] * 3}\nstatus {said}\ndoctor {said}\nquick True\n"
            "again true\n\nproblem ''\n"
        ), result.stdout + result.stderr


def test_every_capability_is_there_on_the_vm(sandbox_up):
    assert not any(capabilities.probe(sandbox_up.host("a")).values())


def test_needs_are_checked_and_an_unknown_one_is_named(sandbox_up):
    assert sandbox.up(2, needs={"ipvlan", "ipvs"}).host("a")
    with pytest.raises(sandbox.SandboxError, match="No such capability: 'warp'"):
        sandbox.up(2, needs={"warp"})


def test_doctor_names_the_engine_and_the_drivers(sandbox_up):
    found = doctor(sandbox_up.id)
    assert found["engine"] == "vm"
    assert set(found["drivers"]) == set(capabilities.DRIVERS)
    assert json.dumps(found)


def test_a_machine_is_tried_as_for_a_workshop(monkeypatch):
    before = sandbox_ids()
    # How long it takes here is no matter of right or wrong.
    monkeypatch.setattr(workshop, "UP_SECONDS", 600.0)
    monkeypatch.setattr(workshop, "RUN_SECONDS", 600.0)
    found = workshop.check()
    assert len(found) == 6
    assert [it for it in found if not it.ok] == []
    assert sandbox_ids() == before


def test_a_cell_streams_both_outputs_in_order(sandbox_up):
    assert cell("a", "echo one; echo two >&2; echo three") == "one\ntwo\nthree\n"


def test_a_cell_stops_at_the_line_that_fails_and_names_it(sandbox_up):
    with pytest.raises(
        sandbox.CellFailed, match=r"'ls /nope' ended with status 2.*\nWhy: .*'/nope'"
    ):
        cell("host-a", "echo before\nls /nope\necho after")


def test_a_failure_in_a_pipe_counts(sandbox_up):
    with pytest.raises(sandbox.CellFailed):
        cell("a", "ls /nope | cat")


def test_docker_says_why_it_failed_and_a_reader_that_had_enough_is_no_failure(sandbox_up):
    assert cell("a", "docker inspect bridge | head -1\necho here") == "[\nhere\n"
    with pytest.raises(sandbox.CellFailed) as told:
        cell("a", "docker inspect nope | grep x | head -1")
    assert told.value.what == "On host-a, 'docker inspect nope' ended with status 1."
    assert "No such object: nope" in told.value.why
    with pytest.raises(sandbox.CellFailed) as told:
        cell("a", 'echo "$(grep nothing /etc/hosts; echo none)"\ndocker run --network nope toolbox')
    assert told.value.what == (
        "On host-a, 'docker run --network nope toolbox' ended with status 125."
    )
    assert told.value.why.startswith("docker: Error response from daemon: ")
    assert "network nope not found" in told.value.why


def test_an_expected_failure_must_come(sandbox_up):
    assert cell("a --expect-failure", "exit 7").endswith("[status 7, as expected]\n")
    with pytest.raises(sandbox.CellFailed, match="was expected to fail"):
        cell("a --expect-failure", "true")


def test_head_cuts_long_output_and_says_so(sandbox_up):
    assert cell("a --head 2", "seq 10") == "1\n2\n… 8 more lines\n"


def test_a_saved_cell_is_a_file_there_and_is_not_run(sandbox_up):
    text = "print('größer')\nraise SystemExit(3)\n"
    assert cell("a --save /root/new/x.py", text) == "/root/new/x.py written on host-a, 2 lines\n"
    assert sandbox_up.host("a").run("cat /root/new/x.py").stdout == text
    with pytest.raises(sandbox.CellFailed, match="/proc/x could not be written"):
        cell("a --save /proc/x", text)


def test_a_capture_is_told_header_by_header_with_whose_addresses_they_are(sandbox_up):
    cell("a", "ping -c 9 198.18.0.12 > /dev/null &\ntcpdump -i eth0 -c 1 -w /root/x.pcap icmp")
    said = str(sandbox.dissect("a", "/root/x.pcap"))
    assert re.search(r"Ethernet +\S+ \(host-a\) → \S+ \(host-b\)", said)
    assert "198.18.0.11 → 198.18.0.12" in said
    with pytest.raises(sandbox.SandboxError, match="1 of 2 frames"):
        sandbox.dissect("a", "/root/x.pcap", frames=2)
    with pytest.raises(sandbox.SandboxError, match="no capture to read on host-a"):
        sandbox.dissect("a", "/root/none.pcap")


@pytest.mark.parametrize("line", ["", "a b c", "a --head x", "nine", 'a "'])
def test_a_bad_magic_line_is_one_message(sandbox_up, line):
    with pytest.raises(sandbox.SandboxError):
        cell(line, "true")


@pytest.fixture
def private(monkeypatch):
    """A folder for all temporary files and sockets of this test; other workers have theirs."""
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def left(folder):
    """What a sandbox could leave: processes that were given this folder, files there and kept."""
    processes = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={folder}".encode() in path.read_bytes().split(b"\0"):
                processes.append(path)
    kept = (cache_dir() / "sandboxes").glob(f"t{os.getpid()}-*")
    return len(processes), sorted(map(str, [*folder.rglob("*"), *kept]))


def test_cycles_of_up_and_down_leave_nothing(private, own):
    id = own()
    run_root()
    before = left(private)
    for _ in range(5):
        sandbox.up(2, id=id, steps=Quiet())
        assert left(private)[0] >= 2, "the supervisor and QEMU are not found"
        sandbox.down(id=id)
    assert left(private) == before
