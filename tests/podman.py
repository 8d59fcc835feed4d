"""Images and containers without a daemon: podman, on storage of the test's own.

No rule of a firewall, no route and no bridge comes about: images are built with this machine's
network, and containers have none.
"""

import contextlib
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import docker

from sandbox.engine import assets
from tests.hosts import until

ROOT = Path(__file__).parents[1]
# Of an image of Debian's, made here of its packages: there is no registry.
DEBIAN = "debian:bookworm-slim"
CERTIFICATES = "/run/pip-certificates"


class Podman:
    """folder: where the storage goes, on a short path: sockets are in it."""

    def __init__(self, folder):
        self.folder = folder
        self.command = [
            "podman",
            "--root",
            folder / "store",
            "--runroot",
            folder / "run",
            "--tmpdir",
            folder / "tmp",
            "--storage-driver",
            "overlay",
            "--cgroup-manager",
            "cgroupfs",
            "--runtime",
            "runc",
        ]
        (folder / "run").mkdir()
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")}

    def __call__(self, *arguments, timeout=600):
        """Its standard output. Raises AssertionError with what it said where it fails."""
        done = subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=self.environment,
        )
        assert done.returncode == 0, f"{arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def debian(self, name=DEBIAN):
        """Import the image that Dockerfiles begin with."""
        suite = name.partition(":")[2].removesuffix("-slim")
        archive = self.folder / "debian.tar"
        # How old the mirror is shows when a Dockerfile's apt asks it, as it does in Debian's image.
        forget = 'rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"'
        command = assets.undated(assets.mmdebstrap(suite, "minbase", ["apt"], archive, forget))
        subprocess.run([*command, "--quiet"], check=True, timeout=300)
        self("import", archive, name)
        archive.unlink()

    @contextlib.contextmanager
    def engine(self):
        """A client of the Engine API as podman serves it.

        What it builds has the rights that Docker gives a build, and this machine's network.
        """
        settings = self.folder / "containers.conf"
        settings.write_text('[containers]\nnetns = "host"\n')
        socket = self.folder / "engine.sock"
        url, log = f"unix://{socket}", self.folder / "engine.log"
        with log.open("w") as said:
            process = subprocess.Popen(
                # Its end, if nobody is left to ask it.
                [*self.command, "system", "service", "--time=120", url],
                stdout=said,
                stderr=said,
                env={**self.environment, "CONTAINERS_CONF": str(settings)},
            )
        try:
            until("podman serves", lambda: socket.exists() or process.poll() is not None, 60)
            assert process.poll() is None, log.read_text()
            with contextlib.closing(docker.DockerClient(base_url=url, timeout=600)) as client:
                yield client
        finally:
            process.terminate()
            process.wait(60)

    def build(self, dockerfile, tag, hosts=None):
        """Build an image of the course as committed, and of what is not ignored besides.

        hosts: the folder of an archive of the hosts' files, which are not built again then.
        """
        given = []
        if hosts:
            given = [f"--volume={hosts}:/hosts:ro", "--build-arg=WIRE_BY_WIRE_HOSTS=/hosts"]
        self(
            "build",
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--layers=false",
            *self._pip(),
            *given,
            "--file",
            dockerfile,
            "--tag",
            tag,
            ROOT,
            timeout=900,
        )

    def _pip(self):
        """Where this machine's pip gets packages, the image's gets them, too."""
        command = [sys.executable, "-m", "pip", "config", "list"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        found = re.findall(r"^(?:\w+|:env:)\.([\w-]+)='(.*)'$", said.stdout, re.MULTILINE)
        settings = {name: value.encode().decode("unicode_escape") for name, value in found}
        places = {}
        if certificates := settings.pop("cert", None):
            # The image's own may be written anew.
            places[certificates], settings["cert"] = CERTIFICATES, CERTIFICATES
        for word in shlex.split(" ".join(settings.values())):
            path = Path(word.removeprefix("file://"))
            if path != Path(CERTIFICATES) and path.is_absolute() and path.exists():
                # An index may lead to files beside it.
                place = Path(*path.parts[:3])
                places[place] = place
        lines = [f"{name} = {' '.join(value.split())}\n" for name, value in settings.items()]
        file = self.folder / "pip.conf"
        file.write_text("[global]\n" + "".join(lines))
        places[file] = "/etc/pip.conf"
        return [f"--volume={here}:{there}:ro" for here, there in places.items()]

    @contextlib.contextmanager
    def container(self, image, *command, options=()):
        """The id of a container that is as Binder's are, removed at the end.

        No network, capability or new privilege, one processor, 2 GB of memory, 64 MB of /dev/shm.
        options: more of podman run's.
        """
        limits = [
            f"--ulimit={name}={soft}:{soft}"
            for name, (soft, _) in (
                ("nofile", resource.getrlimit(resource.RLIMIT_NOFILE)),
                ("nproc", (4096, 4096)),
            )
        ]
        made = self(
            # Its end, if nobody is left to remove it.
            "run",
            "--detach",
            "--timeout=2400",
            "--network=none",
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            "--memory=2g",
            "--memory-swap=2g",
            "--cpus=1",
            *limits,
            *options,
            image,
            *command,
        ).strip()
        try:
            yield made
        finally:
            self("rm", "--force", "--time", "5", made)

    def resident(self, container):
        """Bytes that its processes have, without what the kernel may forget."""
        told = self(
            "exec",
            container,
            "sh",
            "-c",
            "cat /sys/fs/cgroup/memory/memory.stat 2> /dev/null || cat /sys/fs/cgroup/memory.stat",
        )
        stat = {name: int(value) for name, value in (line.split() for line in told.splitlines())}
        if "anon" in stat:
            return stat["anon"] + stat["shmem"]
        return stat["total_rss"] + stat["total_shmem"]

    def close(self):
        """Remove everything."""
        try:
            self("rm", "--force", "--all", "--time", "5")
            # With them goes what a build that failed or was stopped has mounted.
            self("rmi", "--all", "--force")
        finally:
            subprocess.run(["rm", "-rf", self.folder], check=False)
