"""The docker engine on an Engine API that these tests bring up: the one inside a VM of ours."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import uuid

import docker
import pytest

import sandbox
from sandbox.engine import companion, image, relay
from sandbox.engine.daemon import Daemon
from sandbox.engine.docker import DockerEngine
from sandbox.engine.vm import VMEngine
from sandbox.guest import wire
from sandbox.paths import run_dir, sandbox_ids, state_dir
from sandbox.status import doctor, status
from sandbox.steps import Quiet

ID = f"d{os.getpid()}-{uuid.uuid4().hex[:6]}"


def everything(client):
    """Names of all that is on the Engine."""
    return {
        "containers": sorted(c.name for c in client.containers.list(all=True)),
        "networks": sorted(n.name for n in client.networks.list()),
        "volumes": sorted(v.name for v in client.volumes.list()),
    }


@pytest.fixture(scope="module")
def outer():
    """The URL of an Engine without a sandbox, and a client of it."""
    id = f"o{os.getpid()}"
    sandbox.up(2, id=id)
    url = VMEngine().state(id).base_url
    client = docker.DockerClient(base_url=url, timeout=120)
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters={"label": "wire-by-wire.sandbox"}):
        network.remove()
    for volume in client.volumes.list():
        volume.remove(force=True)
    # No registry is reachable here; this is the same package list, installed in the same root.
    client.images.get("host").tag(*image.reference().split(":"))
    yield url, client
    client.close()
    sandbox.down(id=id)


@pytest.fixture
def chosen(outer, monkeypatch):
    """That Engine as the one that the docker command would use; gives a client of it."""
    monkeypatch.setenv("DOCKER_HOST", outer[0])
    monkeypatch.setenv("SANDBOX_ENGINE", "docker")
    return outer[1]


@pytest.fixture
def box(chosen):
    return sandbox.up(1, id=ID)


@pytest.fixture(scope="module", autouse=True)
def _no_remains(outer):
    empty = everything(outer[1])
    yield
    if ID in sandbox_ids():
        DockerEngine().remove(ID)
    assert everything(outer[1]) == empty


def test_hosts_run_containers_and_commands(box, chosen):
    host = box.host("a")
    assert host.run("hostname").stdout == "host-a\n"
    assert host.run("exit 3").code == 3
    out = host.client.containers.run("toolbox", ["hostname", "-i"], remove=True)
    assert out.startswith(b"172.17.")
    assert everything(chosen)["containers"] == [f"wbw-{ID}-host-a"]
    assert all(mode & 0o077 == 0 for mode in (p.stat().st_mode for p in run_dir(ID).glob("*.sock")))


def test_its_network_state_is_read_as_on_the_vm(box):
    [host] = sandbox.snapshot(id=ID).hosts
    assert (host.unread, host.namespace.unread) == ("", "")
    assert host.namespace.interface("eth0").assigned == ("198.18.0.11/24",)
    assert host.network("bridge").interface == "docker0"
    assert "host-a  198.18.0.11" in sandbox.topology_text(id=ID)


def test_the_lan_has_no_way_out_unless_asked_for(box, chosen):
    assert chosen.networks.get(f"wbw-{ID}-lan").attrs["Internal"]
    assert box.host("a").run("ip route show default").stdout == ""


def test_status_and_doctor_tell_of_that_engine(box):
    found = status(ID)
    assert (found["engine"], found["hosts"][0]["problem"]) == ("docker", "")
    told = doctor(ID)
    assert (told["ok"], told["engine"], told["docker"]["privileged"]) == (True, "docker", "")
    assert set(told["drivers"].values()) == {""}


def test_a_killed_relay_is_started_again(box):
    """Every host is reached by way of it."""
    sandbox.up(2, id=ID, fresh=True)
    try:
        (pid,) = companion.pids("sandbox.engine.relay", ID)
        os.kill(pid, signal.SIGKILL)
        for name in "ab":
            assert sandbox.host(name, id=ID).run("hostname").stdout == f"host-{name}\n"
        assert companion.pids("sandbox.engine.relay", ID) not in ([], [pid])
    finally:
        sandbox.up(1, id=ID, fresh=True)


def test_it_is_attached_to_and_not_made_twice(box, chosen):
    before = [container.id for container in chosen.containers.list()]
    again = sandbox.up(1, id=ID)
    assert [container.id for container in chosen.containers.list()] == before
    assert again.hosts == ("host-a",)


def test_a_running_command_ends_with_its_caller(box):
    host = box.host("a")
    with companion_socket(box) as conn:
        request = {"op": "exec", "argv": ["sleep", "4242"], "cwd": "/"}
        wire.send(conn, wire.REQUEST, json.dumps(request).encode())
        assert until(lambda: host.run("pgrep -f 'sleep 424[2]'").code == 0)
    assert until(lambda: host.run("pgrep -f 'sleep 424[2]'").code == 1)


def companion_socket(box):
    conn = socket.socket(socket.AF_UNIX)
    conn.connect(DockerEngine().agent_path(box.id, "host-a"))
    return conn


def until(true):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.2)
    return False


def test_a_second_sandbox_is_told_who_has_the_lan(box):
    with pytest.raises(sandbox.SandboxError, match=f"wbw-{ID}-lan"):
        sandbox.up(1, id=f"{ID}-2")
    DockerEngine().remove(f"{ID}-2")
    assert sandbox.host("a", id=ID).run("true").code == 0


def test_the_other_engine_by_name_is_told_to_take_it_down_first(box, monkeypatch):
    monkeypatch.setenv("SANDBOX_ENGINE", "vm")
    with pytest.raises(sandbox.SandboxError, match="runs on docker"):
        sandbox.up(1, id=ID)


def test_tls_with_the_right_keys_and_only_with_them(box, outer, tmp_path, monkeypatch):
    # requests lets these go before the CA that a program names.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with tls_front(outer[0].removeprefix("unix://"), tmp_path) as port:
        files = [str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")]
        daemon = Daemon(f"tcp://localhost:{port}", *files, "the test")
        client = daemon.connect()
        assert client.containers.get(f"wbw-{ID}-host-a").status == "running"
        direct = relay._Direct(daemon)
        direct.send(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        assert b"200 OK" in direct.receive()
        direct.close()
        path = f"{wire.RUN}/agent.sock"
        stream = relay._Exec(daemon, client.api.api_version, f"wbw-{ID}-host-a", path)
        request = json.dumps({"op": "exec", "argv": ["hostname"]}).encode()
        stream.send(wire.FRAME.pack(wire.REQUEST, len(request)) + request)
        assert b"host-a\n" in stream.receive()
        stream.close()
        assert stream._sock.fileno() == -1
        client.close()
        with pytest.raises(sandbox.SandboxError, match="No Docker Engine answers"):
            Daemon(f"tcp://localhost:{port}", files[0], "", "", "the test").connect()


@contextlib.contextmanager
def tls_front(path, folder):
    """A TCP port on loopback that asks for a client's certificate and leads to that socket."""
    openssl = shutil.which("openssl")
    assert openssl, "the test makes its keys with openssl"
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            folder / "key.pem",
            "-out",
            folder / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )
    shutil.copy(folder / "cert.pem", folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                conn = kept.enter_context(context.wrap_socket(plain, server_side=True))
                engine = kept.enter_context(socket.socket(socket.AF_UNIX))
                engine.connect(path)
                for pair in ((conn, engine), (engine, conn)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    with contextlib.ExitStack() as kept, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_an_image_that_cannot_be_built_is_one_message(box, chosen, monkeypatch):
    chosen.images.get("host").tag("debian", "forky-slim")
    monkeypatch.setattr(image, "reference", lambda: "wire-by-wire/host:absent")
    with pytest.raises(sandbox.SandboxError, match="could not be built") as caught:
        image.ensure(chosen, Quiet())
    assert "SANDBOX_ENGINE=vm" in str(caught.value)


def test_reset_gives_new_hosts(box, chosen):
    host = box.host("a")
    host.run("docker network create mine && touch /root/here")
    (before,) = (container.id for container in chosen.containers.list())
    box.reset(Quiet())
    (after,) = (container.id for container in chosen.containers.list())
    assert after != before
    assert host.run("docker network ls --format '{{.Name}}' | grep mine; ls /root/here").code
    assert host.run("docker run --rm toolbox true").code == 0


def test_down_leaves_nothing(box, chosen):
    assert companion.pids("sandbox.engine.relay", ID)
    sandbox.down(id=ID)
    found = everything(chosen)
    assert not [name for names in found.values() for name in names if name.startswith("wbw-")]
    assert not companion.pids("sandbox.engine.relay", ID)
    assert not run_dir(ID).exists() and not state_dir(ID).exists()
