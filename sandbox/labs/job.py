"""A class graded on a Kubernetes cluster: one Job, one pod a submission, no privileges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sandbox.errors import SandboxError
from sandbox.labs.batch import OVERHEAD_SECONDS, WORKER_MEMORY, Entry
from sandbox.labs.lab import load

__all__ = ["manifests"]

# Whose account the course's image has; a pod needs no other.
USER = 1000
# A node may have to pull the image first.
START_SECONDS = 600
# What a sandbox writes: its disk, and a snapshot made anew.
DISK = "4Gi"
# RFC 1123, as Kubernetes asks of a Job's name; its pods' names are longer by "-INDEX-xxxxx".
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")


def manifests(
    found: Sequence[Entry],
    *,
    image: str,
    claim: str,
    name: str = "grading",
    jobs: int = 4,
    lab: str | None = None,
) -> list[dict[str, Any]]:
    """A NetworkPolicy and a Job that grades those submissions, one or more, JSON-ready.

    image: of the course, which the cluster's nodes can pull.  claim: the PersistentVolumeClaim
    that has ``submitted/`` and gets ``graded/``; with pods on several nodes it is ReadWriteMany.
    jobs: how many pods at once.  lab: the one alone that is graded.

    Each index of the Job grades every n-th submission of those that it finds, n being their
    number now; so they are not to change until it is done. Raises SandboxError for a name that
    Kubernetes would not take.

    Sources: https://kubernetes.io/docs/concepts/workloads/controllers/job/,
    https://kubernetes.io/docs/concepts/security/pod-security-standards/ (restricted).
    """
    if not _NAME.fullmatch(name):
        raise SandboxError(
            f"{name!r} is no name for a Job.",
            fix="Use at most 52 of a to z, 0 to 9 and -, with a letter or digit at both ends.",
        )
    labels = {"app.kubernetes.io/name": "wire-by-wire-grading", "app.kubernetes.io/instance": name}
    cells = max(load(it).seconds for it in {entry.lab for entry in found})
    pod = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(START_SECONDS + cells + OVERHEAD_SECONDS),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(image, len(found), lab)],
        "volumes": [{"name": "class", "persistentVolumeClaim": {"claimName": claim}}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": len(found),
            "parallelism": min(jobs, len(found)),
            # A submission that cannot be graded keeps no other from it.
            "backoffLimitPerIndex": 1,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    silence = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress", "Egress"]},
    }
    return [silence, job]


def _container(image: str, submissions: int, lab: str | None) -> dict[str, Any]:
    memory = f"{WORKER_MEMORY // 2**20}Mi"
    return {
        "name": "grade",
        "image": image,
        "command": [
            "python",
            "-m",
            "sandbox.labs",
            "grade-all",
            "/class/submitted",
            "--out",
            "/class/graded",
            "--jobs",
            "1",
            "--shard",
            f"$(JOB_COMPLETION_INDEX)/{submissions}",
            *(["--lab", lab] if lab else []),
        ],
        "resources": {
            "requests": {"cpu": "1", "memory": memory, "ephemeral-storage": DISK},
            "limits": {"memory": memory, "ephemeral-storage": DISK},
        },
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {
                "name": "class",
                "mountPath": "/class/submitted",
                "subPath": "submitted",
                "readOnly": True,
            },
            {"name": "class", "mountPath": "/class/graded", "subPath": "graded"},
        ],
    }
