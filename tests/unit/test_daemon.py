import contextlib
import hashlib
import http.server
import json
import os
import shlex
import shutil
import socketserver
import tempfile
import threading
import time
from typing import ClassVar

import pytest

import sandbox
from sandbox.engine import assets, daemon, docker, image, kuryr
from sandbox.engine.choose import choose
from sandbox.engine.docker import DockerEngine
from sandbox.errors import SandboxError
from sandbox.paths import state_dir
from sandbox.status import doctor


@pytest.fixture
def config(tmp_path, monkeypatch):
    """An empty folder in place of ~/.docker, and no variable that names an Engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def context(folder, name, url):
    path = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    path.mkdir(parents=True)
    described = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": url}}}
    (path / "meta.json").write_text(json.dumps(described))


def test_nothing_set_is_the_local_socket(config):
    assert daemon.current().url == daemon.DEFAULT_URL


def test_the_context_in_use_names_the_engine(config):
    context(config, "mine", "unix:///somewhere/docker.sock")
    (config / "config.json").write_text('{"currentContext": "mine"}')
    found = daemon.current()
    assert (found.url, found.origin) == ("unix:///somewhere/docker.sock", "the context mine")


def test_docker_context_goes_before_the_one_in_use_and_docker_host_before_both(config, monkeypatch):
    context(config, "mine", "unix:///mine.sock")
    context(config, "other", "unix:///other.sock")
    (config / "config.json").write_text('{"currentContext": "mine"}')
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert daemon.current().url == "unix:///other.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///host.sock")
    assert daemon.current().url == "unix:///host.sock"


def test_a_context_that_is_not_there_is_one_message(config, monkeypatch):
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(SandboxError, match="docker context ls"):
        daemon.current()


def test_tls_takes_the_files_that_docker_takes(config, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/keys")
    found = daemon.current()
    assert (found.ca, found.cert, found.key) == ("/keys/ca.pem", "/keys/cert.pem", "/keys/key.pem")
    with pytest.raises(SandboxError, match="No Docker Engine answers"):
        found.connect()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tcp://127.0.0.1:2375", "without TLS"),
        ("ssh://user@there", "ssh -NL"),
        ("unix:///no/such.sock", "No such file"),
        ("nonsense", "No Docker Engine answers"),
    ],
)
def test_an_engine_that_cannot_be_used_is_one_message(config, monkeypatch, url, said):
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(SandboxError, match=said):
        daemon.current().connect()
    assert DockerEngine().problem()


def test_docker_by_name_where_there_is_none_says_so(config, monkeypatch, cache):
    monkeypatch.setenv("SANDBOX_ENGINE", "docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    with pytest.raises(SandboxError, match="SANDBOX_ENGINE is docker") as caught:
        sandbox.up(id="none-such")
    assert "embedded VM" in str(caught.value)


def test_without_docker_and_without_a_name_it_is_the_vm(config, monkeypatch, cache):
    monkeypatch.delenv("SANDBOX_ENGINE")
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    monkeypatch.setattr("sandbox.engine.vm.assets.lacks", list)
    assert choose("none-such").name == "vm"


GOOD = {"OSType": "linux", "OperatingSystem": "Debian", "ServerVersion": "28.5.2"}
VERSION = {"Version": "28.5.2", "ApiVersion": "1.51", "KernelVersion": "6.1"}
# What a Docker whose ping is well may answer then: status and body, or seconds between its bytes.
BAD = {
    "refuses": (403, b'{"message": "no, you may not"}'),
    "has no such page": (404, b"page not found"),
    "breaks": (500, b"\xff\xfe"),
    "speaks no JSON": (200, b"<html>hello</html>"),
    "answers a list": (200, b"[]"),
    "answers null": (200, b"null"),
    "answers something else": (200, b'{"OSType": 7}'),
    "answers nothing": (200, b""),
    "is slow": (200, 30.0),
    "answers byte by byte": (200, 0.3),
}


class Fake(http.server.BaseHTTPRequestHandler):
    """An Engine that pings, and answers all else as its server's ``answers`` say."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.partition("?")[0].split("/", 2)[-1].split("/")[0]
        name = name if self.path.startswith("/v1") else self.path[1:].partition("?")[0]
        usual = {
            "_ping": b"OK",
            "info": json.dumps(GOOD).encode(),
            "containers": b"[]",
            "version": json.dumps(VERSION).encode(),
        }
        lists = self.path.partition("?")[0].endswith(f"{name}/json")
        # It has no image of ours.
        other = (200, b"[]") if lists else (404, b'{"message": "no such image"}')
        status, body = self.server.answers.get(name, (200, usual[name]) if name in usual else other)
        seconds, body = (body, b"{" * 1000) if isinstance(body, float) else (0, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for at in range(len(body)) if seconds else ():
                self.wfile.write(body[at : at + 1])
                if self.server.over.wait(seconds):
                    return
            self.wfile.write(b"" if seconds else body)

    do_HEAD = do_GET

    def address_string(self):
        return "a socket"

    def log_message(self, *_):
        pass


@pytest.fixture
def fake(config, monkeypatch):
    """Answers of an Engine on a unix socket, to be changed; DOCKER_HOST names it."""

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        answers: ClassVar = {}
        over = threading.Event()
        daemon_threads = True

    # A socket's path is short.
    folder = tempfile.mkdtemp(prefix="d-", dir="/tmp")
    server = Server(f"{folder}/docker.sock", Fake)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
    monkeypatch.setattr(daemon, "ANSWER_SECONDS", 0.6)
    monkeypatch.setattr(daemon, "ALL_SECONDS", 1.5)
    yield server.answers
    server.over.set()
    server.shutdown()
    server.server_close()
    shutil.rmtree(folder)


def test_a_docker_that_answers_is_taken(fake, monkeypatch, cache):
    monkeypatch.delenv("SANDBOX_ENGINE", raising=False)
    assert choose("none-such").name == "docker"
    assert DockerEngine().report().facts | {"privileged": ""} == {
        "works": True,
        "why": f"answers at {os.environ['DOCKER_HOST']} (from DOCKER_HOST)",
        "version": "28.5.2",
        "system": "Debian",
        "notes": [],
        "privileged": "",
    }


# A list is what they answer; and how long to wait is one rule for all.
FAILING = [
    (what, how)
    for what in ("version", "info", "containers", "images")
    for how in BAD
    if not (how == "answers a list" and what in ("containers", "images"))
    and (what == "info" or how not in ("is slow", "answers byte by byte"))
]


@pytest.mark.parametrize(("what", "how"), FAILING)
def test_a_docker_that_pings_and_then_fails_is_one_message_and_the_vm_is_taken(
    fake, monkeypatch, cache, what, how
):
    fake[what] = BAD[how]
    began = time.monotonic()
    report = DockerEngine().report().facts
    assert time.monotonic() - began < 10
    assert (report["works"], bool(report["why"]), bool(report["fix"])) == (False, True, True)
    assert len(report["why"]) < 600
    monkeypatch.delenv("SANDBOX_ENGINE", raising=False)
    monkeypatch.setattr("sandbox.engine.vm.assets.lacks", list)
    assert choose("none-such").name == "vm"
    monkeypatch.setenv("SANDBOX_ENGINE", "docker")
    with pytest.raises(SandboxError, match="SANDBOX_ENGINE is docker") as caught:
        choose("none-such")
    assert "SANDBOX_ENGINE=vm" in caught.value.fix


AT_ONCE = [it for it, (_, said) in BAD.items() if isinstance(said, bytes) and said != b"[]"]


@pytest.mark.parametrize("how", AT_ONCE)
def test_a_docker_that_fails_when_hosts_are_to_go_is_one_message(fake, sockets, how):
    saved = daemon.current()
    state_dir("mine").mkdir(parents=True)
    docker._save("mine", saved, ("host-a",))
    fake["containers"] = BAD[how]
    with pytest.raises(SandboxError, match="may have left containers") as caught:
        DockerEngine().remove("mine")
    assert caught.value.why
    assert docker._saved("mine") == saved


@pytest.mark.parametrize("how", AT_ONCE)
def test_a_docker_that_fails_when_its_image_is_to_go_is_one_message(fake, monkeypatch, cache, how):
    monkeypatch.setattr(DockerEngine, "problem", lambda _: None)
    fake["images"] = BAD[how]
    with pytest.raises(SandboxError, match="kept the hosts' image") as caught:
        DockerEngine().purge()
    assert caught.value.why


@pytest.mark.parametrize(
    ("url", "way"), [("ssh://user@there", "ssh -NL"), ("tcp://127.0.0.1:2375", "protect-access")]
)
def test_the_way_around_is_in_the_message_and_in_the_doctors_advice(
    config, monkeypatch, cache, url, way
):
    context(config, "far", url)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.setenv("SANDBOX_ENGINE", "docker")
    with pytest.raises(SandboxError, match="SANDBOX_ENGINE is docker") as caught:
        choose("none-such")
    assert way in caught.value.fix
    assert way in " ".join(doctor("none-such")["advice"])
    monkeypatch.delenv("SANDBOX_ENGINE")
    monkeypatch.setattr("sandbox.engine.vm.assets.lacks", lambda: ["qemu-system-x86"])
    with pytest.raises(SandboxError, match="No engine works here") as caught:
        choose("none-such")
    assert way in caught.value.fix
    assert "apt install" in caught.value.fix


def test_what_an_engine_lacks_is_named():
    rootless = {"SecurityOptions": ["name=seccomp", "name=rootless"], "CgroupVersion": "2"}
    assert "user namespace" in daemon.notes(rootless)[0]
    assert "its VM" in daemon.notes({"OperatingSystem": "Docker Desktop"})[0]
    assert "cgroup v1" in daemon.notes({"CgroupVersion": "1", "SecurityOptions": None})[0]
    assert daemon.notes({"OperatingSystem": "Debian", "CgroupVersion": "2"}) == []


def test_both_recipes_install_one_package_list():
    text = image.dockerfile()
    for package in assets.packages()["packages"] + assets.packages()["toolbox"]["packages"]:
        assert package in text
    # The kernel's packages are where the small VM is made of them, and not in the image itself.
    assert text.count(shlex.join(assets.packages()["kernel"])) == 1
    assert text.index("AS vm") < text.index(assets.packages()["kernel"][0])
    assert text.rindex("FROM host") > text.index(assets.BUILD_VM)
    assert f"COPY kuryr {kuryr.PLACE}\nRUN {kuryr.COMPILE}" in text
