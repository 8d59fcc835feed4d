"""What ``binder/jupyterhub.yaml`` promises to a room, and ``jupyterhub-wall.yaml`` to
its instructor; the chart's own schema is not here.
"""

import json
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml

from sandbox.__main__ import _parser, _wall
from sandbox.labs.job import USER
from sandbox.room.workshop import MEMORY, SESSION, SHARE

ROOT = Path(__file__).parents[2]
# Where the image has the course, and what is unpacked there.
HOME = PurePosixPath("/home/jovyan")
CACHE = HOME / ".cache/wire-by-wire"
# Of a JupyterHub's sizes (jupyterhub.traitlets.ByteSpecification); a Kubernetes' G is 1000**3.
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture
def values():
    return yaml.safe_load(text("binder/jupyterhub.yaml"))


@pytest.fixture
def wall():
    """The values that add the wall."""
    return yaml.safe_load(text("binder/jupyterhub-wall.yaml"))


@pytest.fixture
def container(wall):
    """The wall's own."""
    [it] = wall["hub"]["extraContainers"]
    return it


@pytest.fixture
def told(container):
    """What the wall's container has in its environment."""
    return {it["name"]: it["value"] for it in container["env"]}


def leaves(tree, *path):
    """The paths to everything in values that is no mapping."""
    if not isinstance(tree, dict):
        return {path}
    return {found for key, below in tree.items() for found in leaves(below, *path, key)}


def size(said):
    return float(said[:-1]) * UNITS[said[-1]]


def minutes(pattern):
    """The most that the agendas have of it."""
    return max(map(int, re.findall(pattern, text("lessons/for-instructors.md"))))


def test_nobody_comes_in_without_a_password(values):
    config = values["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == "shared-password"
    assert "SharedPasswordAuthenticator" not in config, "a password is no part of the repository"


def test_a_learner_has_no_privileges(values):
    user, spawner = values["singleuser"], values["hub"]["config"]["KubeSpawner"]
    assert user["allowPrivilegeEscalation"] is False
    assert user["uid"] == USER
    assert spawner["container_security_context"] == {
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
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
            "nonPrivateIPs": False,
            "privateIPs": False,
            "cloudMetadataServer": False,
        },
    }


def test_a_learner_may_have_the_memory_that_the_doctor_asks_for(values):
    memory = values["singleuser"]["memory"]
    assert size(memory["limit"]) >= MEMORY
    # As many on a node as the page says that it takes.
    assert size(memory["guarantee"]) == SESSION * 2**30
    assert values["singleuser"]["cpu"]["guarantee"] == 1 / SHARE


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


def test_with_the_wall_everything_else_stays_as_it_is(values, wall):
    assert not leaves(values) & leaves(wall)
    assert "singleuser" not in wall, "learners reach no more than without it"


def test_the_wall_is_of_the_image_that_learners_have(values, container):
    image = values["singleuser"]["image"]
    assert container["image"] == f"{image['name']}:{image['tag']}"
    assert container["imagePullPolicy"] == image["pullPolicy"]


def test_the_wall_has_no_privileges_and_no_key_to_the_cluster(wall, container):
    assert container["securityContext"] == {
        "runAsUser": USER,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    mounts = {it["mountPath"]: it for it in container["volumeMounts"]}
    key = mounts.pop("/var/run/secrets/kubernetes.io/serviceaccount")
    assert wall["hub"]["extraVolumes"] == [{"name": key["name"], "emptyDir": {}}]
    # Nor does it see the hub's database, beside which its folder is.
    assert [(it["name"], it["subPath"]) for it in mounts.values()] == [("pvc", "wall")]


def test_the_walls_command_is_one_and_its_room_is_on_the_volume(container):
    start, arguments = container["command"][:5], container["command"][5:]
    assert start == ["tini", "--", "python", "-m", "sandbox"]
    entry = re.search(r"^ENTRYPOINT (.+)$", text("binder/Dockerfile"), re.MULTILINE)
    assert json.loads(entry[1])[0] == "tini", "the image has none"
    options = _parser().parse_args(arguments)
    assert options.act is _wall
    volume = next(it for it in container["volumeMounts"] if it["name"] == "pvc")
    assert str(options.file.parent) == volume["mountPath"]


def test_the_wall_is_told_all_that_it_asks_of_a_hub(told):
    assert {*told} == {*re.findall(r"\bJUPYTERHUB_\w+", text("sandbox/room/wall.py"))}


def test_the_wall_listens_where_the_hub_and_its_proxy_look_for_it(wall, container, told):
    hub, address = wall["hub"], urlsplit(told["JUPYTERHUB_SERVICE_URL"])
    [(name, service)] = hub["services"].items()
    assert told["JUPYTERHUB_SERVICE_NAME"] == name
    assert told["JUPYTERHUB_SERVICE_PREFIX"] == f"/services/{name}/"
    assert f'share_progress("http://proxy-public/services/{name}"' in text(
        "binder/jupyterhub-wall.yaml"
    )
    port = address.port
    assert (address.hostname, service["url"]) == ("0.0.0.0", f"http://hub:{port}")
    assert [it["containerPort"] for it in container["ports"]] == [port]
    assert [(it["port"], it["targetPort"]) for it in hub["service"]["extraPorts"]] == [(port, port)]
    [let_in] = hub["networkPolicy"]["ingress"]
    [let_out] = wall["proxy"]["chp"]["networkPolicy"]["egress"]
    assert let_in["ports"] == let_out["ports"] == [{"port": port}]
    for [peer], component in ((let_in["from"], "proxy"), (let_out["to"], "hub")):
        labels = {"app.kubernetes.io/component": component}
        assert peer == {"podSelector": {"matchLabels": labels}}
