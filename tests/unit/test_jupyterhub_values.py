"""What ``binder/jupyterhub.yaml`` promises to a room; the chart's own schema is not here."""

import re
from pathlib import Path, PurePosixPath

import pytest
import yaml

from sandbox.labs.job import USER
from sandbox.workshop import MEMORY

ROOT = Path(__file__).parents[2]
# Where the image has the course, and what is unpacked there.
HOME = PurePosixPath("/home/jovyan")
CACHE = HOME / ".cache/wire-by-wire"
# Of a JupyterHub's sizes (jupyterhub.traitlets.ByteSpecification); a Kubernetes' G is 1000**3.
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@pytest.fixture
def values():
    return yaml.safe_load((ROOT / "binder/jupyterhub.yaml").read_text(encoding="utf-8"))


def size(text):
    return float(text[:-1]) * UNITS[text[-1]]


def minutes(pattern):
    """The most that the agendas have of it."""
    guide = (ROOT / "lessons/for-instructors.md").read_text(encoding="utf-8")
    return max(map(int, re.findall(pattern, guide)))


def test_nobody_comes_in_without_a_password(values):
    config = values["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == "shared-password"
    assert "SharedPasswordAuthenticator" not in config, "a password is no part of the repository"


def test_a_learner_has_no_privileges(values):
    user, spawner = values["singleuser"], values["hub"]["config"]["KubeSpawner"]
    assert user["allowPrivilegeEscalation"] is False
    assert user["uid"] == USER
    assert spawner["container_security_context"] == {
        "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    # Left out, the chart adds a privileged container.
    assert user["cloudMetadata"]["blockWithIptables"] is False
    # Nothing else that could bring any.
    assert {*spawner} == {"http_timeout", "container_security_context"}
    more = {"initContainers", "extraContainers", "extraPodConfig", "profileList"}
    assert not more & {*user} and "extraConfig" not in values["hub"]


def test_a_learner_reaches_the_hub_and_nobody_else(values):
    assert values["singleuser"]["networkPolicy"] == {
        "enabled": True,
        "egressAllowRules": {
            "nonPrivateIPs": False, "privateIPs": False, "cloudMetadataServer": False,
        },
    }  # fmt: skip


def test_a_learner_may_have_the_memory_that_the_doctor_asks_for(values):
    memory = values["singleuser"]["memory"]
    assert size(memory["limit"]) >= MEMORY
    assert size(memory["guarantee"]) <= size(memory["limit"])


def test_every_node_has_the_same_image_before_anybody_comes(values):
    image, puller = values["singleuser"]["image"], values["prePuller"]
    assert isinstance(image["tag"], str) and image["tag"] not in ("", "latest")
    assert image["pullPolicy"] == "IfNotPresent"
    assert puller["hook"]["enabled"] is True and puller["continuous"]["enabled"] is True


def test_the_first_page_is_in_the_course(values):
    page = values["singleuser"]["defaultUrl"]
    assert page.startswith("/lab/tree/")
    assert (ROOT / page.removeprefix("/lab/tree/")).is_file()


def test_progress_is_on_the_volume_and_the_volume_hides_nothing(values):
    storage, env = values["singleuser"]["storage"], values["singleuser"]["extraEnv"]
    mount = PurePosixPath(storage["homeMountPath"])
    assert storage["type"] == "dynamic"
    assert PurePosixPath(env["WIRE_BY_WIRE_DATA"]).is_relative_to(mount)
    # Below the course, so that JupyterLab shows it.
    assert mount != HOME and mount.is_relative_to(HOME)
    assert not (ROOT / mount.relative_to(HOME)).exists()
    assert not CACHE.is_relative_to(mount) and "WIRE_BY_WIRE_CACHE" not in env


def test_a_server_outlasts_a_break_and_a_day_but_not_its_learner(values):
    cull = values["cull"]
    assert cull["enabled"] is True
    assert minutes(r"\| (\d+) \| Break \|") * 60 < cull["timeout"] < cull["maxAge"]
    assert minutes(r"\| \*\*(\d+)\*\* \|") * 60 < cull["maxAge"] <= 24 * 3600
