import hashlib
import json
import shlex

import pytest

import sandbox
from sandbox.engine import assets, daemon, image, kuryr
from sandbox.engine.choose import choose
from sandbox.engine.docker import DockerEngine
from sandbox.errors import SandboxError


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
    assert DockerEngine.unusable()


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
