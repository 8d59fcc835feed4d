"""The one small program inside the VM and inside every host.

    agent.py host            serve commands on /run/wire-by-wire/agent.sock
    agent.py vm              the same, and carry streams over the virtio-serial port
    agent.py dial PATH       join standard input and output to the unix socket PATH

A connection to agent.sock carries one request, in frames (wire.py). The first is JSON:

    {"op": "exec", "argv": [...], "env": {...}, "cwd": "/root", "tty": [rows, columns] | null}
        to the agent: STDIN, STDIN_END, SIGNAL (decimal number), RESIZE ("rows columns")
        from the agent: STDOUT, STDERR, TAKEN (decimal number: so many bytes of STDIN made room for
        others; a caller has at most WINDOW of them on their way, so that the agent can hear it
        whatever the command reads), then EXIT (decimal status, 128 + n after signal n)
        If the connection breaks before EXIT, the command's process group is killed.
    {"op": "resume", "time": seconds, "seed": hex, "internet": bool}     answered by EXIT 0
        sets the clock, feeds the random pool, opens or closes the way out
    {"op": "state"}                                      answered by STDOUT (JSON), EXIT 0
        reads the host's network state (state.py)
    {"op": "attempt", ...}                               answered by STDOUT (JSON), EXIT 0
        tries to reach something from a namespace of the host, see attempt.py
    {"op": "capture", "cookie": "…", "isn": number}      a conversation, see capture.py
    {"op": "settle"}                                                     answered by EXIT 0
        writes back files and leaves free memory zeroed, before a snapshot

Standard library only, and no asyncio: Debian's python3-minimal has none.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import mmap
import os
import pty
import selectors
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback
import urllib.parse

try:
    from sandbox.guest import addresses, wire
except ImportError:  # in a host they stand beside this one, without the package
    import addresses  # type: ignore[no-redef]
    import wire  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PORT = "wire-by-wire"
# Output that a command leaves in its pipes when it ends is worth this many seconds' wait;
# a background child may hold the pipe open for as long as it likes.
DRAIN_SECONDS = 0.3
LOADER = 'eval "$(< /dev/fd/'
RETRY_SECONDS = 0.1
LONGEST_ARGUMENT = 32 * mmap.PAGESIZE  # MAX_ARG_STRLEN, linux/binfmts.h
# Commands are to be killed before us, as an Engine has it for itself and its containers.
OOM_SCORE = -500


def serve_connection(conn: socket.socket) -> None:
    """Serve the one request of a connection, and close it. It raises nothing: errors are told."""
    with conn, contextlib.suppress(OSError):
        first = wire.receive(conn)
        if first is None:
            return
        try:
            request = json.loads(first[1])
            if request["op"] == "exec":
                execute(conn, request)
                return
            if request["op"] == "state":
                import state

                # The caller's time limit ends with the connection; this thread ends by itself.
                send_answer(conn, state.read())
                return
            if request["op"] == "attempt":
                from attempt import attempt

                # A thread has a network namespace of its own, and this one serves no other request.
                given = {name: value for name, value in request.items() if name != "op"}
                send_answer(conn, attempt(**given))
                return
            if request["op"] == "capture":
                from capture import converse

                converse(conn, request)
                return
            {"resume": resume, "settle": settle}[request["op"]](request)
        except Exception as error:
            # Errors of the system say what they are; a KeyError is only its key.
            kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
            wire.send(conn, wire.STDERR, f"{kind}{error}\n".encode(errors="replace"))
            wire.send(conn, wire.EXIT, b"127")
        else:
            wire.send(conn, wire.EXIT, b"0")


def send_answer(conn: socket.socket, answer: object) -> None:
    """Write answer as JSON, in frames, then EXIT 0. Raises OSError."""
    data = json.dumps(answer).encode()
    for offset in range(0, len(data), wire.CHUNK):
        wire.send(conn, wire.STDOUT, data[offset : offset + wire.CHUNK])
    wire.send(conn, wire.EXIT, b"0")


def execute(conn: socket.socket, request: Mapping[str, Any]) -> None:
    """Run the command of an "exec" request to its end, which is the last that conn is told.

    Raises OSError if it does not start.
    """
    env = {**os.environ, **request.get("env", {})}
    size = request.get("tty")
    if size:
        master, slave = pty.openpty()
        resize(master, *size)
        stream = slave
    else:
        stream = subprocess.PIPE

    argv, script = within_limits(request["argv"])
    process = subprocess.Popen(
        # With a terminal of its own, which a session has to be told of.
        ["setsid", "--ctty", *argv] if size else argv,
        env=env,
        cwd=request.get("cwd") or "/root",
        start_new_session=not size,
        pass_fds=script,
        stdin=stream,
        stdout=stream,
        stderr=stream,
    )
    for fd in script:
        os.close(fd)
    set_oom_score(process.pid, 0)
    if size:
        os.close(slave)
        outputs, stdin = {master: wire.STDOUT}, os.dup(master)
    else:
        assert process.stdin and process.stdout and process.stderr
        outputs = {process.stdout.fileno(): wire.STDOUT, process.stderr.fileno(): wire.STDERR}
        stdin = os.dup(process.stdin.fileno())
        process.stdin.close()
    try:
        relay(conn, process, outputs, stdin)
    except OSError:
        end_group(process)
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        if size:
            os.close(master)


def within_limits(argv: list[str]) -> tuple[list[str], tuple[int, ...]]:
    """argv such that bash -c takes a script of any length, and descriptors that it needs.

    The caller passes those on and closes them. Raises OSError.
    """
    if argv[:2] != ["bash", "-c"] or len(os.fsencode(argv[2])) < LONGEST_ARGUMENT:
        return argv, ()
    with open(os.memfd_create("script"), "wb") as file:
        file.write(os.fsencode(argv[2]))
        file.flush()
        # Scripts use small numbers.
        fd = fcntl.fcntl(file, fcntl.F_DUPFD, 100)
    return ["bash", "-c", f'{LOADER}{fd})" {fd}<&-', *argv[3:]], (fd,)


class Input:
    """A command's standard input; what the command has not read yet waits here.

    fd: non-blocking from now on, and closed here.
    """

    def __init__(self, selector: selectors.BaseSelector, fd: int) -> None:
        os.set_blocking(fd, False)
        self.selector, self.fd = selector, fd
        self.waiting, self.ended, self.watched = bytearray(), False, False

    def write(self) -> int:
        """Hand over what there is room for. Gives how many bytes wait no more."""
        before = len(self.waiting)
        try:
            while self.waiting:
                del self.waiting[: os.write(self.fd, self.waiting[: wire.CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            # Nobody will read it.
            self.waiting.clear()
        if bool(self.waiting) != self.watched:
            self.watched = not self.watched
            if self.watched:
                self.selector.register(self.fd, selectors.EVENT_WRITE)
            else:
                self.selector.unregister(self.fd)
        if self.ended and not self.waiting:
            self.close()
        return before - len(self.waiting)

    def close(self) -> None:
        """Close it, once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def relay(
    conn: socket.socket, process: subprocess.Popen[bytes], outputs: dict[int, int], stdin: int
) -> None:
    """Carry output to conn and input from it until the process has ended.

    outputs: the kind of frame for each descriptor to read.  stdin: to be written, closed here.
    Raises OSError if the caller goes away before.
    """
    ended = os.pidfd_open(process.pid)
    selector = selectors.DefaultSelector()
    standard_input = Input(selector, stdin)
    for fd in (*outputs, conn.fileno(), ended):
        selector.register(fd, selectors.EVENT_READ)
    deadline = None
    open_outputs = set(outputs)
    try:
        while deadline is None or (open_outputs and time.monotonic() < deadline):
            wait = None if deadline is None else max(0, deadline - time.monotonic())
            for key, _ in selector.select(wait):
                if key.fd in outputs:
                    if not forward(conn, key.fd, outputs[key.fd]):
                        selector.unregister(key.fd)
                        open_outputs.discard(key.fd)
                elif key.fd == ended:
                    selector.unregister(ended)
                    deadline = time.monotonic() + DRAIN_SECONDS
                else:
                    if key.fd == conn.fileno() and not take_input(conn, process, standard_input):
                        raise ConnectionError("the caller went away")
                    if taken := standard_input.write():
                        wire.send(conn, wire.TAKEN, str(taken).encode())
        status = process.wait()
        wire.send(conn, wire.EXIT, str(status if status >= 0 else 128 - status).encode())
    finally:
        selector.close()
        os.close(ended)
        standard_input.close()


def forward(conn: socket.socket, fd: int, kind: int) -> bool:
    """Send what fd has as one frame of that kind; False at its end. Raises OSError of conn."""
    try:
        data = os.read(fd, wire.CHUNK)
    except BlockingIOError:
        return True
    except OSError:  # a terminal's master gives EIO when its last process has gone
        data = b""
    if data:
        wire.send(conn, kind, data)
    return bool(data)


def set_oom_score(pid: int | str, score: int) -> None:
    """How soon that process is killed when memory runs out, -1000 (never) to 1000 (proc(5)).

    pid: its number, or "self". Where it may not be set, it stays.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write(str(score))


def take_input(
    conn: socket.socket, process: subprocess.Popen[bytes], standard_input: Input
) -> bool:
    """Take one frame of the caller; False if it went away. Raises OSError of conn."""
    frame = wire.receive(conn)
    if frame is None:
        return False
    kind, payload = frame
    with contextlib.suppress(OSError, ValueError):
        if kind == wire.STDIN and not standard_input.ended:
            standard_input.waiting += payload
        elif kind == wire.STDIN_END:
            standard_input.ended = True
        elif kind == wire.SIGNAL:
            os.killpg(process.pid, int(payload))
        elif kind == wire.RESIZE:
            resize(standard_input.fd, *map(int, payload.split()))
    return True


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command's process group: hang up, terminate, kill, with a second for each."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return


def resize(fd: int, rows: int, columns: int) -> None:
    """Tell a terminal its size. Raises OSError."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207  # linux/random.h


def resume(request: Mapping[str, Any]) -> None:
    """Set the clock, feed the random pool, and open the way out if that is asked for.

    Raises OSError, or CalledProcessError if a route or rule is refused.
    """
    time.clock_settime(time.CLOCK_REALTIME, request["time"])
    seed = bytes.fromhex(request["seed"])
    with open("/dev/random", "wb", buffering=0) as pool:
        fcntl.ioctl(pool, RNDADDENTROPY, struct.pack("ii", 8 * len(seed), len(seed)) + seed)
        fcntl.ioctl(pool, RNDRESEEDCRNG)
    if request.get("internet"):
        subprocess.run(
            ["ip", "route", "replace", "default", "via", addresses.VM_GATEWAY], check=True
        )
        with open("/etc/resolv.conf", "w") as file:
            file.write(f"nameserver {addresses.VM_NAME_SERVER}\n")
        # The containers of the hosts ask the LAN's gateway, which is this VM; for the hosts
        # themselves, this VM's Engine does.
        for chain in ("PREROUTING", "OUTPUT"):
            for protocol in ("udp", "tcp"):
                rule = [
                    "-p",
                    protocol,
                    "--dport",
                    "53",
                    "-m",
                    "addrtype",
                    "--dst-type",
                    "LOCAL",
                    "-j",
                    "DNAT",
                    "--to",
                    addresses.VM_NAME_SERVER,
                ]
                subprocess.run(["iptables", "-w", "-t", "nat", "-I", chain, *rule], check=True)


def settle(_request: Mapping[str, Any]) -> None:
    """Write back files, and leave all free memory but 48 MiB zeroed. Raises OSError."""
    os.sync()
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    spare = int(fields["MemFree"].split()[0]) * 1024 - 48 * 1024 * 1024
    if spare > 0:
        # The kernel hands out zeroed pages, and leaves them so when they come back.
        with mmap.mmap(-1, spare) as pages:
            for offset in range(0, spare, mmap.PAGESIZE):
                pages[offset] = 0


def dial(target: str) -> socket.socket:
    """A socket connected to ``unix:PATH`` here, or to ``host:CONTAINER:PATH`` in a container.

    Its time limit is 5 s. Raises OSError if nothing listens there or the container does not run.
    """
    kind, _, rest = target.partition(":")
    path = rest
    if kind == "host":
        name, _, inner = rest.partition(":")
        path = f"/proc/{container_pid(name)}/root{inner}"
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(5)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


PIDS: dict[str, int] = {}


def container_pid(name: str) -> int:
    """The process id of the container's first process, asked of the Engine.

    Raises OSError if it does not run or the Engine does not answer.
    """
    pid = PIDS.get(name)
    if pid and os.path.exists(f"/proc/{pid}/root/run/wire-by-wire"):
        return pid
    from state import ask_engine

    body = json.loads(ask_engine(f"/containers/{urllib.parse.quote(name)}/json"))
    asked = int(body.get("State", {}).get("Pid") or 0)
    if not asked:
        raise OSError(f"{name} is not running")
    PIDS[name] = asked
    return asked


def serve_commands(path: str) -> None:
    """Serve requests on the unix socket at path, each in a thread, without end.

    Raises OSError if it cannot listen there.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(64)
    while True:
        try:
            conn, _ = listener.accept()
            threading.Thread(target=serve_connection, args=(conn,), daemon=True).start()
        except (OSError, RuntimeError) as error:
            # No more descriptors or threads at this moment.
            print(error, file=sys.stderr)
            time.sleep(RETRY_SECONDS)


def port_device() -> str:
    """The device of our virtio-serial port, found by the name that QEMU gave it.

    Raises OSError if there is none.
    """
    for path in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(path) as file:
            if file.read().strip() == PORT:
                return f"/dev/{path.split('/')[-2]}"
    raise OSError(f"the VM has no virtio-serial port named {PORT}")


def serve_port(again: bool = False) -> None:
    """Carry streams until the link closes. again: whether the other side has some of before.

    Raises OSError if there is no port.
    """
    from mux import Loop, Mux

    link = os.open(port_device(), os.O_RDWR)
    loop = Loop()
    running = True

    def ended() -> None:
        nonlocal running
        running = False

    mux = Mux(loop, link, dial=dial, ended=ended)
    try:
        if again:
            mux.hello()
        while running:
            loop.step()
    finally:
        mux.close()
        loop.close()


def keep_serving_port() -> None:
    """Serve the port for as long as the VM runs: its init ends with us, and then it panics."""
    failed = False
    while True:
        try:
            serve_port(failed)
            failed = False
        except Exception:
            failed = True
            traceback.print_exc()
        time.sleep(RETRY_SECONDS)


def relay_stdio(path: str) -> None:
    """Join standard input and output to the unix socket at path, to its end. Raises OSError."""
    with dial(f"unix:{path}") as sock:
        sock.settimeout(None)

        def upward() -> None:
            with contextlib.suppress(OSError):
                while data := os.read(0, 65536):
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)

        threading.Thread(target=upward, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := sock.recv(65536):
                while data:
                    data = data[os.write(1, data) :]


def main(arguments: list[str]) -> None:
    """Do what the command line asks for (see the top). Raises SystemExit for other words."""
    if arguments[:1] == ["dial"] and len(arguments) == 2:
        relay_stdio(arguments[1])
        return
    # A shell starts background jobs, as we are, with SIGINT ignored; children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    set_oom_score("self", OOM_SCORE)
    if arguments == ["host"]:
        # Loaded now, it is in the VM's snapshot, and the first reader need not wait for it.
        import state

        state.nftables.library()
        serve_commands(f"{wire.RUN}/agent.sock")
    elif arguments == ["vm"]:
        path = f"{wire.RUN}/agent.sock"
        threading.Thread(target=serve_commands, args=(path,), daemon=True).start()
        keep_serving_port()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
