"""The Job that grades a class on Kubernetes."""

import pytest
import yaml

from sandbox.errors import SandboxError
from sandbox.labs.__main__ import main
from sandbox.labs.batch import entries
from sandbox.labs.job import manifests
from sandbox.labs.lab import names

LAB = names()[0]


@pytest.fixture
def submitted(tmp_path):
    for student in ("ada", "grace", "linus"):
        path = tmp_path / "submitted" / student / LAB / f"{LAB}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path / "submitted"


@pytest.fixture
def made(submitted):
    return manifests(entries(submitted), image="registry.example/course:1", claim="class")


def test_kubernetes_takes_what_is_printed(submitted, capsys):
    validate = pytest.importorskip("kubernetes_validate")
    arguments = ["job", str(submitted), "--image", "registry.example/course:1", "--claim", "class"]
    assert main([*arguments, "--jobs", "2"]) == 0
    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [it["kind"] for it in printed] == ["NetworkPolicy", "Job"]
    assert printed[1]["spec"]["parallelism"] == 2
    for document in printed:
        # backoffLimitPerIndex is on by default from 1.29 on.
        for version in ("1.29", "1.33", "1.37"):
            validate.validate(document, version, strict=True)


def test_the_schema_sees_a_field_that_kubernetes_lacks(made):
    validate = pytest.importorskip("kubernetes_validate")
    made[1]["spec"]["parallel"] = 2
    with pytest.raises(validate.ValidationError):
        validate.validate(made[1], "1.33", strict=True)


def test_a_pod_is_within_the_restricted_pod_security_standard(made):
    pod = made[1]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & {*pod}
    assert {key for volume in pod["volumes"] for key in volume} == {"name", "persistentVolumeClaim"}
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]


def test_its_pods_may_talk_to_nobody(made):
    policy, job = made
    chosen = policy["spec"]["podSelector"]["matchLabels"]
    assert chosen.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & {*policy["spec"]}


def test_each_submission_is_of_one_pod(made):
    assert made[1]["spec"]["completions"] == 3
    assert made[1]["spec"]["template"]["spec"]["containers"][0]["command"][-1].endswith("/3")


def test_its_pods_grade_the_chosen_lab_alone(submitted, capsys):
    other = submitted / "ada" / "10-names" / "10-names.ipynb"
    other.parent.mkdir()
    other.write_text("{}")
    assert main(["job", str(submitted), "--image", "i", "--claim", "c", "--lab", "10-names"]) == 0
    [_, job] = yaml.safe_load_all(capsys.readouterr().out)
    assert job["spec"]["completions"] == 1
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-2:] == ["--lab", "10-names"]


@pytest.mark.parametrize("name", ["", "Grading", "-a", "a" * 53, "a b"])
def test_a_name_that_kubernetes_would_not_take_is_refused(submitted, name):
    with pytest.raises(SandboxError, match="no name for a Job"):
        manifests(entries(submitted), image="i", claim="c", name=name)


def test_nothing_to_grade_is_said(tmp_path, capsys):
    assert main(["job", str(tmp_path), "--image", "i", "--claim", "c"]) == 2
    assert "has no submission" in capsys.readouterr().err


@pytest.mark.parametrize("shard", ["3/3", "x", "1", "a/3", "0/0"])
def test_a_shard_that_is_none_is_refused(submitted, shard, capsys):
    with pytest.raises(SystemExit):
        main(["grade-all", str(submitted), "--shard", shard])
    assert "is none of 0/N to N-1/N" in capsys.readouterr().err
