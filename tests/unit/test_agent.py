"""The agent that runs in the VM and in every host, here on this machine."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from sandbox.engine import link
from sandbox.errors import SandboxError
from sandbox.guest import agent, state, wire
from sandbox.hosts.host import Host
from sandbox.hosts.shell import argv, failure
from tests.hosts import until


@pytest.fixture
def host(tmp_path, monkeypatch):
    path = str(tmp_path / "agent.sock")
    monkeypatch.setattr(os.path, "dirname", lambda _: str(tmp_path))
    threading.Thread(target=agent.serve_commands, args=(path,), daemon=True).start()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        # The path is there a moment before the agent listens at it.
        try:
            link.connect(path).close()
            break
        except OSError:
            time.sleep(0.01)
    monkeypatch.undo()
    return Host("host-a", "198.18.0.11", "unix:///nowhere", path)


def test_a_command_gives_its_outputs_and_its_status(host):
    result = host.run("echo out; echo err >&2; exit 3")
    assert (result.code, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_an_argument_list_is_not_parsed_by_a_shell(host):
    assert host.run(["echo", "$HOME;", "*"]).stdout == "$HOME; *\n"


def test_a_long_script_runs_as_a_short_one_does(host):
    """Its output, the line that fails, its words, its input and its open files."""
    script = (
        "{}\necho \"$(ls -C /proc/self/fd)\" 'a\\b' $LINENO; cat; false || :; ls /nope; echo after"
    )

    def run(filling):
        said = {wire.STDOUT: b"", wire.STDERR: b""}

        def take(kind, data):
            said[kind] += data

        text = script.format(filling)
        code = host.stream(argv(text), take, stdin=b"in", timeout=20)
        return code, said[wire.STDOUT], failure(text, code, said[wire.STDERR], b"")

    short, long = run(": x"), run(": " + "ä" * 200_000)
    assert short == long
    assert short[0] == 2
    assert short[2].command == "ls /nope"


def test_a_missing_program_is_status_127(host):
    result = host.run(["no-such-program"])
    assert result.code == 127
    assert "no-such-program" in result.stderr


def test_a_signal_is_128_and_its_number(host):
    assert host.run("kill -TERM $$").code == 128 + signal.SIGTERM


def test_much_output_arrives_whole(host):
    assert host.run("seq 200000").stdout == "".join(f"{n}\n" for n in range(1, 200001))


def test_a_background_child_does_not_hold_the_command_up(host):
    began = time.monotonic()
    assert host.run("sleep 20 & echo $!").code == 0
    assert time.monotonic() - began < 5


def test_a_command_that_takes_too_long_is_killed_and_named(host, tmp_path):
    with pytest.raises(SandboxError, match="took longer than 1 s"):
        host.run(f"echo $$ > {tmp_path}/pid; sleep 60", timeout=1)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{pid}")


def test_interrupt_reaches_the_command(host):
    seen = []

    def output(_kind, data):
        seen.append(data)
        if b"ready" in data:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.stream(
            ["bash", "-c", "trap 'echo caught; exit' INT; echo ready; sleep 30 & wait"], output
        )
    assert b"caught" in b"".join(seen)


@pytest.mark.parametrize("megabytes", [0, 1, 50])
def test_input_comes_back_from_cat_whole_however_long(host, megabytes):
    sent, came = os.urandom(megabytes * 10**6 + 1), bytearray()
    assert host.stream(["cat"], lambda _kind, data: came.extend(data), stdin=sent, timeout=60) == 0
    assert came == sent


def test_a_command_that_reads_a_part_or_nothing_ends_as_it_likes(host):
    long = bytes(10**6)
    for _ in range(30):
        assert host.stream(["true"], print, stdin=long, timeout=10) == 0
    assert (
        host.stream(["bash", "-c", "exec <&-; sleep 0.3; exit 3"], print, stdin=long, timeout=10)
        == 3
    )
    came = bytearray()
    assert (
        host.stream(
            ["head", "-c", "70000"], lambda _, data: came.extend(data), stdin=long, timeout=10
        )
        == 0
    )
    assert len(came) == 70000


@pytest.mark.parametrize("how", ["goes away", "interrupts"])
def test_a_command_that_never_reads_its_input_hears_its_caller(host, tmp_path, how):
    def output(_kind, _data):
        raise KeyboardInterrupt if how == "interrupts" else SystemExit

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        host.stream(
            ["bash", "-c", f"echo $$ > {tmp_path}/pid; echo ready; exec sleep 60"],
            output,
            stdin=bytes(10**6),
        )
    pid = (tmp_path / "pid").read_text().strip()
    until("it has ended", lambda: not os.path.exists(f"/proc/{pid}/exe"), 5)


def test_whoever_sends_more_than_there_is_room_for_is_heard_too(host):
    """An older caller, or a paste into a terminal."""
    sent = b"x" * 5 * 10**6
    with host._request({"op": "exec", "argv": ["wc", "-c"]}) as conn:
        conn.settimeout(20)
        wire.send(conn, wire.STDIN, sent)
        wire.send(conn, wire.STDIN_END)
        frames = dict(iter(lambda: wire.receive(conn), None))
    assert int(frames[wire.STDOUT]) == len(sent)
    assert frames[wire.EXIT] == b"0"


def test_commands_are_killed_for_memory_before_the_agent(host, tmp_path):
    """Nothing passes the agent's own score on to them; to set it lower takes a right."""
    score = Path("/proc/self/oom_score_adj")
    before = score.read_text()
    with contextlib.suppress(OSError):
        score.write_text("100")
    try:
        assert host.run("sleep 0.1; cat /proc/self/oom_score_adj").stdout in ("0\n", before)
    finally:
        with contextlib.suppress(OSError):
            score.write_text(before)


def test_a_host_that_hangs_is_not_waited_for(tmp_path):
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen()
        with pytest.raises(SandboxError, match="host-a does not answer") as caught:
            Host("host-a", "198.18.0.11", "unix:///nowhere", str(tmp_path / "deaf")).look(0.3)
    assert "a command took longer than" in caught.value.why
    assert caught.value.fix.startswith("try again")


def test_a_terminal_has_the_size_that_was_asked_for(host):
    request = {"op": "exec", "argv": ["stty", "size"], "tty": [31, 97]}
    with host._request(request) as conn:
        conn.settimeout(5)
        seen = b""
        while (frame := wire.receive(conn)) and frame[0] != wire.EXIT:
            seen += frame[1]
    assert seen.strip() == b"31 97"


def test_a_terminal_controls_the_session_of_its_command(host):
    said, argv = "", ["bash", "-c", "trap 'exit 7' INT; tty; ps -o tty= -p $$; cat"]
    with host._request({"op": "exec", "argv": argv, "tty": [24, 80]}) as conn:
        conn.settimeout(20)
        # A signal is lost on a cat that bash has forked and that is not cat yet; so it answers
        # first, after the terminal's echo.
        wire.send(conn, wire.STDIN, b"there\n")
        while said.count("there") < 2 or said.count("\n") < 4:
            kind, payload = wire.receive(conn)
            said += payload.decode() if kind == wire.STDOUT else ""
        wire.send(conn, wire.STDIN, b"\x03")
        frames = iter(lambda: wire.receive(conn), None)
        ended = next(payload for kind, payload in frames if kind == wire.EXIT)
    terminal, of_process = (word for word in said.split() if word != "there")
    assert terminal == f"/dev/{of_process}"
    assert ended == b"7"


def test_a_host_that_is_not_there_says_what_to_do(tmp_path):
    gone = Host("host-a", "198.18.0.11", "unix:///nowhere", str(tmp_path / "none.sock"))
    with pytest.raises(SandboxError, match="host-a does not answer") as caught:
        gone.run("true")
    assert "sandbox reset" in caught.value.fix


def test_dialling_a_container_asks_the_engine_for_its_process(monkeypatch):
    monkeypatch.setattr(agent, "container_pid", lambda name: {"host-a": os.getpid()}[name])
    with pytest.raises(OSError):
        agent.dial("host:host-a:/no/such/socket")


@contextlib.contextmanager
def running_as(program):
    """A process of that name."""
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as process:
        try:
            deadline = time.monotonic() + 10
            # The new process has this one's name until it runs the program.
            while Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[1:2] != [b"60"]:
                assert time.monotonic() < deadline
            yield process.pid
        finally:
            process.kill()


def test_a_virtual_machine_is_a_process_of_qemu(tmp_path):
    program = tmp_path / "qemu-system-x86_64"
    with running_as(program) as pid:
        (found,) = (it for it in state.read_machines() if it["pid"] == pid)
    assert found["command"] == [str(program), "60"]
    assert found["inode"] == Path("/proc/self/ns/net").stat().st_ino
    assert found["taps"] == found["macvtaps"] == []


@pytest.mark.parametrize("name", ["проверка-связи", "qemu-system-проверка"])
def test_a_processs_name_that_is_cut_within_a_character_does_no_harm(name, tmp_path):
    with running_as(tmp_path / name) as pid:
        found = [it["pid"] for it in state.read_machines()]
    assert (pid in found) == name.startswith("qemu")


def test_a_tap_whose_interface_is_gone_has_no_name(tmp_path):
    (tmp_path / "fd").mkdir()
    (tmp_path / "fdinfo").mkdir()
    for number, (device, info) in enumerate(
        [
            ("/dev/net/tun", "pos:\t0\niff:\t\n"),
            ("/dev/net/tun", "iff:\ttap0\n"),
            ("/dev/tap12", ""),
            ("socket:[1]", ""),
            ("/dev/tap", ""),
        ]
    ):
        (tmp_path / "fd" / str(number)).symlink_to(device)
        (tmp_path / "fdinfo" / str(number)).write_text(info)
    assert state.read_taps(tmp_path) == (["tap0"], [12])
