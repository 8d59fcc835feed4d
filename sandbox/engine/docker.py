"""The engine that uses a Docker which already runs: DOCKER_HOST, a context, the local socket."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import settings
from sandbox.engine import assets, companion, image
from sandbox.engine.base import LABEL, Engine, EngineState, OtherSandbox, Recipe, Report, Site
from sandbox.engine.daemon import Daemon, current, expected, notes
from sandbox.errors import SandboxError, course, setting, shell, written
from sandbox.paths import opened, run_dir, state_dir
from sandbox.steps import Steps

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

__all__ = ["DockerEngine"]

RELAY = "sandbox.engine.relay"
HOSTS, RECIPE, INTERNET = ("wire-by-wire.hosts", "wire-by-wire.recipe", "wire-by-wire.internet")


class DockerEngine(Engine):
    """Sandboxes beside whatever else that Engine runs; see ``sandbox.engine.base.Engine``.

    All that a sandbox makes there carries its label and a name that begins ``wbw-ID-``.
    """

    name = "docker"

    def problem(self) -> SandboxError | None:
        """See ``Engine.problem``: of the Engine of the moment."""
        try:
            daemon = current()
            _require_linux(daemon, daemon.usable())
        except SandboxError as error:
            return _unusable(error)
        return None

    def report(self) -> Report:
        """See ``Engine.report``. To try privileged containers, it runs one, if the hosts' image is
        there."""
        try:
            facts = _facts()
        except SandboxError as error:
            return _unusable_report(_unusable(error))
        refused = facts["privileged"].startswith("refused")
        advice = f"your Docker allows no privileged containers; {self.elsewhere()}"
        return Report(None, facts["why"], facts, _lines(facts), (advice,) if refused else ())

    def elsewhere(self) -> str:
        """See ``Engine.elsewhere``: in the embedded VM."""
        return setting("SANDBOX_ENGINE", "vm")

    def build(self, recipe: Recipe, steps: Steps) -> str:
        """See ``Engine.build``: the hosts' image, on that Engine."""
        daemon = current()
        with contextlib.closing(daemon.connect()) as client, daemon.answering():
            return f"the image {image.ensure(client, steps)}"

    def start(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """See ``Engine.start``."""
        return self._bring_up(sandbox_id, recipe, internet, steps, fresh=False)

    def reset(
        self, sandbox_id: str, recipe: Recipe, *, internet: bool, steps: Steps
    ) -> EngineState:
        """See ``Engine.reset``: here the hosts are made again."""
        return self._bring_up(sandbox_id, recipe, internet, steps, fresh=True)

    def remove(self, sandbox_id: str) -> None:
        """See ``Engine.remove``. Raises SandboxError if the sandbox's Engine does not answer or
        keeps something; the record of it stays, to try again with."""
        record = _record(sandbox_id)
        if not record.exists():
            return
        _end_relay(sandbox_id)
        daemon = _saved(sandbox_id)
        try:
            if daemon is None:
                raise SandboxError(f"{record} does not say which Docker that was.")
            with contextlib.closing(daemon.connect()) as client, daemon.answering():
                _remove_all(client, sandbox_id)
        except SandboxError as error:
            label = f"label={LABEL}={sandbox_id}"
            raise SandboxError(
                f"The sandbox {sandbox_id!r} may have left containers, networks and volumes on "
                f"{f'the Docker Engine at {daemon.url}' if daemon else 'a Docker Engine'}.",
                why=f"{error.what} {error.why}".strip(),
                fix=f"start that Engine, then: {written('down', sandbox_id)}\n"
                "Or remove them there yourself, in a terminal:\n"
                f"  docker rm -fv $(docker ps -aq --filter {label})\n"
                f"  docker network rm $(docker network ls -q --filter {label})\n"
                f"  docker volume rm $(docker volume ls -q --filter {label})\n"
                f"If that Engine is gone for good, delete {record}, "
                f"then: {written('down', sandbox_id)}",
            ) from error
        with contextlib.suppress(OSError):
            record.unlink()

    def recorded(self, sandbox_id: str) -> bool:
        """See ``Engine.recorded``: it was made on some Docker and not removed there since."""
        return _record(sandbox_id).exists()

    def purge(self) -> list[str]:
        """See ``Engine.purge``: the hosts' images, on the Engine of the moment."""
        if self.problem():
            return []
        try:
            daemon = current()
            with contextlib.closing(daemon.connect()) as client, daemon.answering():
                built = client.images.list(filters={"label": image.LABEL})
                names = [name for found in built for name in found.tags]
                for name in names:
                    client.images.remove(name, force=True)
        except SandboxError as error:
            raise SandboxError(
                "Your Docker Engine kept the hosts' image.",
                why=error.why or error.what,
                fix=f"to list it: {shell(f'docker image ls --filter label={image.LABEL}')}",
            ) from error
        return [f"the image {name}" for name in names]

    def state(self, sandbox_id: str) -> EngineState | None:
        """See ``Engine.state``."""
        daemon = _saved(sandbox_id)
        if daemon is None:
            return None
        try:
            with contextlib.closing(daemon.connect()) as client, daemon.answering():
                found = _containers(client, sandbox_id)
                return _state(sandbox_id, client, found) if found else None
        except SandboxError:
            return None

    def host_url(self, sandbox_id: str, host: str) -> str:
        """See ``Engine.host_url``."""
        _relay(sandbox_id)
        return f"unix://{run_dir(sandbox_id)}/{host}.sock"

    def agent_path(self, sandbox_id: str, host: str) -> str:
        """See ``Engine.agent_path``."""
        _relay(sandbox_id)
        return f"{run_dir(sandbox_id)}/{host}.agent.sock"

    def _bring_up(
        self, sandbox_id: str, recipe: Recipe, internet: bool, steps: Steps, *, fresh: bool
    ) -> EngineState:
        labels = {
            LABEL: sandbox_id,
            HOSTS: " ".join(recipe.hosts),
            RECIPE: assets.digest(recipe.key, image.reference()),
            INTERNET: str(internet),
        }
        with companion.starting(sandbox_id, steps):
            daemon = _saved(sandbox_id)
            if daemon and not self.state(sandbox_id):
                _require_answer(sandbox_id, daemon)
                daemon = None
            daemon = daemon or current()
            with contextlib.closing(daemon.connect()) as client:
                with daemon.answering():
                    found = _containers(client, sandbox_id)
                matches = _matches(found, labels, recipe.hosts)
                if found and not (fresh or matches):
                    raise OtherSandbox(_stopped(found))
                if not matches or fresh:
                    _save(sandbox_id, daemon, recipe.hosts)
                    _end_relay(sandbox_id)
                    with _named(client, sandbox_id, recipe.lan):
                        _remove_all(client, sandbox_id)
                        reference = image.ensure(client, steps)
                        site = Site(
                            _scope(sandbox_id),
                            labels,
                            reference,
                            closed=not internet,
                            gateway_dns=not internet,
                        )
                        steps.begin("Bringing up the hosts")
                        recipe.prepare(client, site, steps)
                else:
                    recipe.await_ready(client, Site(_scope(sandbox_id), labels, image.reference()))
                _relay(sandbox_id)
                with daemon.answering():
                    return _state(sandbox_id, client, _containers(client, sandbox_id))


def _require_linux(daemon: Daemon, info: dict[str, Any]) -> None:
    """Raise SandboxError if that Engine runs other containers. info: what it says of itself."""
    if (system := info["OSType"]) != "linux":
        raise SandboxError(
            f"The Docker Engine at {daemon.url} (from {daemon.origin}) cannot be used.",
            why=f"it runs {system} containers, not Linux ones",
            fix=f"switch it to Linux containers; or, to use the embedded VM, "
            f"{setting('SANDBOX_ENGINE', 'vm')}",
        )


def _facts() -> dict[str, Any]:
    """Of the Engine of the moment. Raises SandboxError if it cannot be used."""
    daemon = current()
    info = daemon.usable()
    _require_linux(daemon, info)
    privileged = f"not tried: the hosts' image is not built yet ({course('build')})"
    with contextlib.closing(daemon.connect()) as client, daemon.answering():
        if image.present(client):
            privileged = _try_privileged(client)
    return {
        "works": True,
        "why": f"answers at {daemon.url} (from {daemon.origin})",
        "version": info["ServerVersion"],
        "system": info["OperatingSystem"],
        "notes": notes(info),
        "privileged": privileged,
    }


def _lines(facts: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"Docker {facts['version']}, {facts['system']}: {facts['why']}",
        f"Privileged containers there: {facts['privileged'] or 'work'}",
        *(f"Note: {note}" for note in facts["notes"]),
    )


def _unusable(error: SandboxError) -> SandboxError:
    """That error of one Engine, as ``Engine.problem`` says it."""
    return SandboxError(
        "No Docker can be used.", why=f"{error.what} {error.why}".strip(), fix=error.fix
    )


def _unusable_report(problem: SandboxError) -> Report:
    # Somebody who has no Docker, or chose the VM, is not told how to start one.
    wanted = settings.read("SANDBOX_ENGINE") != "vm" and expected()
    return Report(
        problem,
        problem.why,
        {"works": False, "why": problem.why, "fix": problem.fix},
        (f"Docker: {problem.why}",),
        (problem.fix,) if wanted else (),
    )


def _containers(client: DockerClient, sandbox_id: str) -> list[Container]:
    """That sandbox's hosts in the order of their names, running or not."""
    found = client.containers.list(
        all=True, filters={"label": f"{LABEL}={sandbox_id}"}, ignore_removed=True
    )
    return sorted(found, key=lambda container: str(container.name))


def _matches(found: list[Container], labels: dict[str, str], names: tuple[str, ...]) -> bool:
    return len(found) == len(names) and all(
        container.status == "running" and labels.items() <= container.labels.items()
        for container in found
    )


def _stopped(found: list[Container]) -> str:
    """Which of the hosts do not run, as OtherSandbox says it."""
    names = [
        f"{container.name} is {container.status}"
        for container in found
        if container.status != "running"
    ]
    return f"your Docker says that {', '.join(names)}" if names else ""


def _state(sandbox_id: str, client: DockerClient, found: list[Container]) -> EngineState:
    labels = {name: value for name, value in found[0].labels.items() if "wire-by-wire." in name}
    version = client.version()
    detail = f"Docker Engine {version['Version']}, Linux {version['KernelVersion']}"
    site = Site(_scope(sandbox_id), labels, image.reference())
    return EngineState(
        f"unix://{run_dir(sandbox_id)}/engine.sock",
        site,
        detail,
        0,
        tuple(labels[HOSTS].split()),
        labels[INTERNET] == "True",
    )


def _remove_all(client: DockerClient, sandbox_id: str) -> None:
    """Remove everything there with that sandbox's label. Nothing there is no error.

    What cannot be removed does not keep the rest: SandboxError names it at the end.
    """
    from docker.errors import APIError, NotFound

    filters = {"label": f"{LABEL}={sandbox_id}"}
    left = []

    def attempt(name: str, remove: Callable[[], None]) -> None:
        try:
            remove()
        except NotFound:
            pass
        except APIError as error:
            left.append(f"{name}: {error.explanation or error}")

    for container in _containers(client, sandbox_id):
        attempt(f"the container {container.name}", partial(container.remove, force=True, v=True))
    for network in client.networks.list(filters=filters):
        attempt(f"the network {network.name}", network.remove)
    for volume in client.volumes.list(filters=filters):
        attempt(f"the volume {volume.name}", partial(volume.remove, force=True))
    if left:
        raise SandboxError("Your Docker Engine keeps what it was to remove.", why="; ".join(left))


@contextmanager
def _named(client: DockerClient, sandbox_id: str, subnet: str) -> Iterator[None]:
    """Leave nothing behind when hosts cannot be made, and say in our words why not."""
    from docker.errors import APIError

    try:
        yield
    except BaseException as error:
        with contextlib.suppress(Exception):
            _remove_all(client, sandbox_id)
            _record(sandbox_id).unlink()
        if not isinstance(error, APIError):
            raise
        said = error.explanation or str(error)
        if "overlap" in said:
            raise SandboxError(
                f"Another network of your Docker Engine has the LAN's addresses ({subnet}).",
                why=", ".join(_overlapping(client, subnet)) or said,
                fix=f"if it is another sandbox: {written('down', 'ITS-ID')}. A Docker of "
                f"your own holds one sandbox at a time; for several, "
                f"{setting('SANDBOX_ENGINE', 'vm')}",
            ) from error
        raise SandboxError(
            "Your Docker Engine does not let the hosts be made.",
            why=said,
            fix="hosts need privileged containers; where those are not allowed, "
            f"{setting('SANDBOX_ENGINE', 'vm')}",
        ) from error


def _overlapping(client: DockerClient, taken: str) -> list[str]:
    from ipaddress import ip_network

    lan = ip_network(taken)
    found = []
    for network in client.networks.list():
        for pool in (network.attrs.get("IPAM") or {}).get("Config") or []:
            subnet = ip_network(pool.get("Subnet") or "::/128")
            if subnet.version == lan.version and subnet.overlaps(lan):
                found.append(f"the network {network.name} has {subnet}")
    return found


def _try_privileged(client: DockerClient) -> str:
    from docker.errors import DockerException

    try:
        client.containers.run(
            image.reference(),
            ["true"],
            privileged=True,
            remove=True,
            network_mode="none",
            userns_mode="host",
        )
    except DockerException as error:
        return f"refused: {getattr(error, 'explanation', '') or error}"
    return ""


def _scope(sandbox_id: str) -> str:
    return f"wbw-{sandbox_id}-"


def _relay(sandbox_id: str) -> None:
    """Have the relay run. Raises SandboxError if it cannot."""
    if (path := _record(sandbox_id)).exists() and not companion.living(sandbox_id):
        companion.launch(RELAY, sandbox_id, json.loads(path.read_text()))


def _end_relay(sandbox_id: str) -> None:
    for pid in companion.pids(RELAY, sandbox_id):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    companion.end(RELAY, sandbox_id)


def _record(sandbox_id: str) -> Path:
    return state_dir(sandbox_id) / "docker.json"


def _save(sandbox_id: str, daemon: Daemon, hosts: tuple[str, ...]) -> None:
    settings = {
        "daemon": dataclasses.asdict(daemon),
        "scope": _scope(sandbox_id),
        "hosts": hosts,
    }
    # In one step: half a record would lose what is on that Engine.
    new = _record(sandbox_id).with_suffix(".new")
    with opened(new, "w") as file:
        json.dump(settings, file)
    new.replace(_record(sandbox_id))


def _require_answer(sandbox_id: str, daemon: Daemon) -> None:
    """Raise SandboxError if the Engine that the record names is silent: a start on another one
    would overwrite the record of what is there."""
    try:
        daemon.connect().close()
    except SandboxError as error:
        raise SandboxError(
            f"The sandbox {sandbox_id!r} has hosts on the Docker Engine at {daemon.url}, "
            "which does not answer.",
            why=error.why,
            fix=f"start that Engine; or remove the sandbox: {written('down', sandbox_id)}",
        ) from error


def _saved(sandbox_id: str) -> Daemon | None:
    """The Engine on which that sandbox was made last."""
    try:
        return Daemon(**json.loads(_record(sandbox_id).read_text())["daemon"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
