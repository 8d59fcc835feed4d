"""The hosts' image on an Engine that already runs: a docker build of the VM's package list."""

from __future__ import annotations

import io
import shlex
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.engine import assets, kuryr
from sandbox.errors import SandboxError, setting
from sandbox.steps import Steps

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["LABEL", "dockerfile", "ensure", "present", "reference"]

LABEL = "wire-by-wire.image"
# Minutes on an Engine with a fast network; only the display uses it.
SECONDS = 150
INSTALL_VM = f'RUN mkdir -p {assets.VM}; if [ "$(dpkg --print-architecture)" = amd64 ]; then'
HOST_FILES = (
    "addresses.py",
    "agent.py",
    "attempt.py",
    "bpf.py",
    "capture.py",
    "netlink.py",
    "nftables.py",
    "probe.py",
    "state.py",
    "wire.py",
    "capabilities.sh",
    "vm.py",
    "vm_build.py",
    "vm-guest",
    "host-cgroups",
    "host-entrypoint",
)


def dockerfile() -> str:
    """The Dockerfile. Its ARG ``BASE`` is a Debian of the suite that packages.toml names."""
    listed = assets.packages()
    update = _dated("apt-get update", "apt-get update -o Acquire::Check-Valid-Until=false")
    install = f"RUN {update} && apt-get install --yes --no-install-recommends"
    toolbox = assets.toolbox_command(Path("/toolbox"), Path("/toolbox.tar"))
    return "\n".join(
        [
            f"ARG BASE=debian:{listed['suite']}-slim",
            "FROM $BASE AS toolbox",
            f"{install} mmdebstrap",
            "COPY toolbox /toolbox",
            f"RUN {_dated(shlex.join(toolbox), shlex.join(assets.undated(toolbox)))}",
            "FROM $BASE AS host",
            f"{install} {' '.join(listed['packages'])} && "
            f"cd / && rm -rf {' '.join(listed['drop'])} /var/lib/apt/lists/* /var/cache/apt",
            f"COPY --from=toolbox /toolbox.tar {assets.TOOLBOX}",
            f"COPY {' '.join(HOST_FILES)} {assets.LIB}/",
            f"RUN {assets.LINK_VM}",
            # Its kernel and its QEMU are those of x86-64; a host without it says so.
            "FROM host AS vm",
            f"{INSTALL_VM} {install.removeprefix('RUN ')} {shlex.join(listed['kernel'])} && "
            f"{assets.BUILD_VM}; fi",
            "FROM host",
            f"COPY --from=vm {assets.VM} {assets.VM}",
            f"COPY kuryr {kuryr.PLACE}",
            f"RUN {kuryr.COMPILE}",
            "",
        ]
    )


def _dated(command: str, undated: str) -> str:
    """A shell command: the first, and the second if the mirror's Release file is past its date."""
    return (
        f"{{ {command} 2> /tmp/said || {{ cat /tmp/said >&2; grep -qF '{assets.EXPIRED}' /tmp/said "
        f"&& echo {shlex.quote(assets.NOTICE)} && {undated}; }}; }} && rm -f /tmp/said"
    )


def reference() -> str:
    """The image's name and tag; the tag covers all that goes into it."""
    inputs = (assets.guest_files(*HOST_FILES, "toolbox", "kuryr"), dockerfile(), kuryr.INPUTS)
    return f"wire-by-wire/host:{assets.digest(*inputs)}"


def present(client: DockerClient) -> bool:
    """Whether that Engine has the image."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(reference())
    except ImageNotFound:
        return False
    return True


def ensure(client: DockerClient, steps: Steps) -> str:
    """The image's reference, built on that Engine if need be. Raises SandboxError."""
    if not present(client):
        _build(client, steps)
    return reference()


def _build(client: DockerClient, steps: Steps) -> None:
    from docker.errors import APIError

    steps.begin("Building the hosts' image on your Docker", left=SECONDS)
    said = [""]
    failure = ""
    try:
        for line in client.api.build(
            fileobj=_context(),
            custom_context=True,
            tag=reference(),
            decode=True,
            rm=True,
            forcerm=True,
            labels={LABEL: "host"},
        ):
            said.append(line.get("stream", "").strip())
            if said[-1] == assets.NOTICE:
                steps.begin(assets.NOTICE)
            failure = failure or line.get("error", "")
    except APIError as error:
        failure = error.explanation or str(error)
    if failure:
        last = [text for text in said if text][-6:]
        raise SandboxError(
            "The hosts' image could not be built on your Docker Engine.",
            why="\n".join([*last, failure]),
            fix="check that the Engine reaches its registry and a Debian mirror; or, to use the "
            f"embedded VM, which needs no registry, {setting('SANDBOX_ENGINE', 'vm')}",
        )


def _context() -> io.BytesIO:
    """The build's files as a tar archive; all belong to root, whoever builds."""
    archive = io.BytesIO()
    with (
        tarfile.open(fileobj=archive, mode="w") as tar,
        tempfile.TemporaryDirectory() as work,
    ):
        files = assets.guest_files(*HOST_FILES, "toolbox")
        for name, content, executable in [("Dockerfile", dockerfile().encode(), 0), *files]:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644 | executable
            tar.addfile(entry, io.BytesIO(content))
        kuryr.install(assets.GUEST / "kuryr", Path(work, "kuryr"))
        tar.add(Path(work, "kuryr"), "kuryr", filter=_of_root)
    archive.seek(0)
    return archive


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
