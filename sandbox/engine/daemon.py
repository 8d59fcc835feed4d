"""A Docker Engine that already runs: where it is, whether it answers, what it lacks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.tls import TLSConfig

__all__ = ["Daemon", "current", "notes"]

ANSWER_SECONDS = 5
DEFAULT_URL = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Daemon:
    """Where an Engine's API is.

    url: as docker.DockerClient takes it.  ca, cert, key: paths of PEM files, "" for none.
    origin: what named it, such as ``DOCKER_HOST``.
    """

    url: str
    ca: str
    cert: str
    key: str
    origin: str

    def tls(self) -> TLSConfig | None:
        """Mutual TLS, if the Engine asks for it. Raises SandboxError if a file is missing."""
        from docker.errors import TLSParameterError
        from docker.tls import TLSConfig

        if not (self.ca or self.cert):
            return None
        try:
            return TLSConfig(
                client_cert=(self.cert, self.key) if self.cert else None,
                ca_cert=self.ca or None,
                verify=bool(self.ca),
            )
        except TLSParameterError as error:
            raise self._silent(str(error)) from error

    def connect(self, timeout: int = 120) -> DockerClient:
        """A client of that Engine, which has answered. Raises SandboxError if it does not."""
        from docker import DockerClient
        from docker.errors import DockerException

        if self.url.startswith("ssh://"):
            raise SandboxError(
                f"{self.origin} is {self.url}, and the course does not reach Docker by SSH.",
                fix="forward its socket: ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST, "
                "then set DOCKER_HOST=unix:///tmp/docker.sock",
            )
        if self.url.startswith(("tcp://", "http://")) and not (self.ca or self.cert):
            raise SandboxError(
                f"{self.origin} is {self.url}, an Engine API without TLS: whoever reaches that "
                "port is root there.",
                fix="protect it with TLS (https://docs.docker.com/engine/security/protect-access/)"
                ", or set SANDBOX_ENGINE=vm",
            )
        try:
            client = DockerClient(base_url=self.url, tls=self.tls() or False,
                                  timeout=ANSWER_SECONDS)  # fmt: skip
            client.ping()
        except (DockerException, OSError) as error:
            raise self._silent(_short(error)) from error
        client.api.timeout = timeout
        return client

    def _silent(self, why: str) -> SandboxError:
        return SandboxError(
            f"No Docker Engine answers at {self.url} (from {self.origin}).",
            why=why,
            fix="start Docker, or set SANDBOX_ENGINE=vm to use the embedded VM",
        )


def current() -> Daemon:
    """The Engine that the docker command would use: DOCKER_HOST, then DOCKER_CONTEXT, then the
    context that was chosen last (https://docs.docker.com/engine/manage-resources/contexts/).

    Raises SandboxError if the context does not exist.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name
    from docker.errors import DockerException

    if url := os.environ.get("DOCKER_HOST"):
        if not os.environ.get("DOCKER_TLS_VERIFY"):
            return Daemon(url, "", "", "", "DOCKER_HOST")
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        ca, cert, key = (str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        return Daemon(url, ca, cert, key, "DOCKER_HOST")
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    if name == "default":
        return Daemon(DEFAULT_URL, "", "", "", "the default socket")
    try:
        context = ContextAPI.get_context(name)
    except (DockerException, OSError, ValueError):
        context = None
    if context is None or not context.Host:
        raise SandboxError(
            f"The Docker context {name!r} does not exist or names no Engine.",
            fix="docker context ls lists them; docker context use NAME chooses one",
        )
    tls = context.TLSConfig
    cert, key = (tls and tls.cert) or ("", "")
    return Daemon(context.Host, (tls and tls.ca_cert) or "", cert, key, f"the context {name}")


def notes(info: dict[str, Any]) -> list[str]:
    """What a learner should know about that Engine, from ``docker info``."""
    options = info.get("SecurityOptions") or []
    found = []
    if any("name=rootless" in option for option in options):
        found.append(
            "rootless: the hosts have rights in Docker's own user namespace only, so they load no "
            "kernel modules (overlay networks need ip_vs loaded beforehand)"
        )
    if "Docker Desktop" in info.get("OperatingSystem", ""):
        found.append(
            "Docker Desktop: the hosts run in its VM, one hop further from this machine's network"
        )
    if info.get("CgroupVersion") == "1":
        found.append("cgroup v1, which Docker deprecates: the hosts' dockerd says so in its log")
    return found


def _short(error: Exception) -> str:
    """The innermost reason, without the layers of libraries around it."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    return str(reason)
