"""Interrupt, as a notebook shows it: a kernel of its own, and the agent of a host in it."""

import time

import pytest
from jupyter_client.manager import start_new_kernel

SETUP = """
import os, threading, time
import sandbox
from sandbox.hosts import cell
from sandbox.hosts.host import Host
from sandbox.guest import agent
path = os.path.join({folder!r}, "agent.sock")
kept, os.path.dirname = os.path.dirname, lambda _: {folder!r}
threading.Thread(target=agent.serve_commands, args=(path,), daemon=True).start()
end = time.monotonic() + 10
while not os.path.exists(path) and time.monotonic() < end:
    time.sleep(0.02)
os.path.dirname = kept
host_a = Host("host-a", "198.18.0.11", "unix:///nowhere", path)
cell.host = lambda name: host_a
"""
SECONDS = 30


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    manager, client = start_new_kernel(startup_timeout=60)
    folder = str(tmp_path_factory.mktemp("agent"))
    reply = client.execute_interactive(SETUP.format(folder=folder), timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def interrupted(kernel, cell):
    """The error that a cell shows when it is interrupted after it printed; and the reply of the
    cell that waited behind it."""
    manager, client = kernel
    first, second = client.execute(cell), client.execute("print('next')")
    error, sent = None, False
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        message = client.get_iopub_msg(timeout=SECONDS)
        if message["parent_header"].get("msg_id") != first:
            continue
        # A busy kernel may show a line in two messages. A second interrupt could come when the cell
        # has ended, and IPython would drop the request that it takes up at that moment.
        if message["msg_type"] == "stream" and not sent:
            sent = True
            manager.interrupt_kernel()
        if message["msg_type"] == "error":
            error = message["content"]
        if message["content"].get("execution_state") == "idle":
            break
    while time.monotonic() < deadline:
        reply = client.get_shell_msg(timeout=SECONDS)
        if reply["parent_header"]["msg_id"] == second:
            return error, reply["content"]["status"]
    raise AssertionError("the next cell was not answered")


@pytest.mark.parametrize(
    "cell",
    [
        "%%host a\necho begun; sleep 4343",
        "%%host a --expect-failure\necho begun; sleep 4343",
        "host_a.stream(['bash', '-c', 'echo begun; sleep 4343'], lambda *_: print(1, flush=True))",
    ],
)
def test_an_interrupt_is_one_line_and_the_cells_after_it_do_not_run(kernel, cell):
    error, after = interrupted(kernel, cell)
    assert error["ename"] == "KeyboardInterrupt"
    assert error["traceback"] == ["KeyboardInterrupt: You interrupted this cell."]
    assert after in ("aborted", "error")


def test_an_interrupt_of_the_learners_own_python_is_shown_as_ever(kernel):
    error, _ = interrupted(kernel, "print('begun', flush=True); time.sleep(4343)")
    assert error["ename"] == "KeyboardInterrupt"
    assert any("time.sleep" in line for line in error["traceback"])
