"""A Docker Engine that already runs: where it is, whether it answers, what it lacks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import settings
from sandbox.errors import SandboxError, setting, shell
from sandbox.paths import home_path

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.tls import TLSConfig

__all__ = ["Daemon", "current", "expected", "notes"]

# For a part of one answer, and for all that is asked of an Engine before it is used.
ANSWER_SECONDS = 5
ALL_SECONDS = 15
# Characters of an answer that a message repeats.
LONGEST = 300
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
                fix="forward its socket: "
                f"{shell('ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST')}; "
                f"then {setting('DOCKER_HOST', 'unix:///tmp/docker.sock')}",
            )
        if self.url.startswith(("tcp://", "http://")) and not (self.ca or self.cert):
            raise SandboxError(
                f"{self.origin} is {self.url}, an Engine API without TLS: whoever reaches that "
                "port is root there.",
                fix="protect it with TLS (https://docs.docker.com/engine/security/protect-access/)"
                f"; or {setting('SANDBOX_ENGINE', 'vm')}",
            )
        try:
            client = DockerClient(
                base_url=self.url, tls=self.tls() or False, timeout=ANSWER_SECONDS
            )
            client.ping()
        except (DockerException, OSError, ValueError, AttributeError) as error:
            # The last two: a version that is none.
            raise self._silent(_short(error)) from error
        client.api.timeout = timeout
        return client

    def usable(self) -> dict[str, Any]:
        """What ``docker info`` says, from an Engine that answers all that the course asks first.

        Raises SandboxError if it refuses, gives no sense or takes longer than ALL_SECONDS.
        """
        answers: queue.SimpleQueue[dict[str, Any] | SandboxError] = queue.SimpleQueue()
        # A time limit of the library's is for each read, and an answer may come byte by byte.
        threading.Thread(target=lambda: answers.put(self._ask()), daemon=True).start()
        try:
            answer = answers.get(timeout=ALL_SECONDS)
        except queue.Empty:
            raise self.failed(f"it did not answer within {ALL_SECONDS} s") from None
        if isinstance(answer, SandboxError):
            raise answer
        return answer

    def _ask(self) -> dict[str, Any] | SandboxError:
        try:
            client = self.connect(ANSWER_SECONDS)
            try:
                info = client.info()
                lists = client.api.containers(limit=1), client.api.images("wire-by-wire/host")
            finally:
                client.close()
            if not all(isinstance(found, list) for found in lists):
                raise TypeError("it sent no lists")
            for name in ("OSType", "OperatingSystem", "ServerVersion"):
                if not isinstance(info[name], str):
                    raise TypeError(f"{name} is {info[name]!r}")
        except SandboxError as error:
            return error
        except (KeyError, TypeError, AttributeError) as error:
            return self.failed(f"it does not answer as a Docker Engine does: {error}")
        except Exception as error:
            return self.failed(_short(error))
        return info

    def failed(self, why: str) -> SandboxError:
        """The error of an Engine that answers, but not as one does that can be used."""
        return SandboxError(
            f"The Docker Engine at {self.url} (from {self.origin}) cannot be used.",
            why=why,
            fix=f"check that this works: {shell('docker ps')}; or, to use the embedded VM, "
            f"{setting('SANDBOX_ENGINE', 'vm')}",
        )

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turn what the Engine refuses, or its silence, into one SandboxError."""
        try:
            yield
        except SandboxError:
            raise
        except Exception as error:
            # The SDK has no class of its own for an answer that it cannot read.
            raise self.failed(_short(error)) from error

    def _silent(self, why: str) -> SandboxError:
        return SandboxError(
            f"No Docker Engine answers at {self.url} (from {self.origin}).",
            why=why,
            fix=f"start Docker; or, to use the embedded VM, {setting('SANDBOX_ENGINE', 'vm')}",
        )


def current() -> Daemon:
    """The Engine that the docker command would use: DOCKER_HOST, then DOCKER_CONTEXT, then the
    context that was chosen last (https://docs.docker.com/engine/manage-resources/contexts/).

    Raises SandboxError if the context does not exist.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name
    from docker.errors import DockerException

    if url := settings.read("DOCKER_HOST"):
        if not settings.read("DOCKER_TLS_VERIFY"):
            return Daemon(url, "", "", "", "DOCKER_HOST")
        folder = home_path(settings.read("DOCKER_CERT_PATH") or "~/.docker")
        ca, cert, key = (str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        return Daemon(url, ca, cert, key, "DOCKER_HOST")
    name = settings.read("DOCKER_CONTEXT") or get_current_context_name()
    if name == "default":
        return Daemon(DEFAULT_URL, "", "", "", "the default socket")
    try:
        context = ContextAPI.get_context(name)
    except (DockerException, OSError, ValueError):
        context = None
    if context is None or not context.Host:
        raise SandboxError(
            f"The Docker context {name!r} does not exist or names no Engine.",
            fix=f"to list them: {shell('docker context ls')}; "
            f"to choose one: {shell('docker context use NAME')}",
        )
    tls = context.TLSConfig
    cert, key = (tls and tls.cert) or ("", "")
    return Daemon(context.Host, (tls and tls.ca_cert) or "", cert, key, f"the context {name}")


def expected() -> bool:
    """Whether somebody named an Engine, or the usual socket is there: a machine with Docker."""
    try:
        found = current()
    except SandboxError:
        return True
    return found.url != DEFAULT_URL or Path(DEFAULT_URL.removeprefix("unix://")).exists()


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
    said = getattr(reason, "explanation", None) or str(reason) or type(reason).__name__
    text = " ".join(str(said).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
