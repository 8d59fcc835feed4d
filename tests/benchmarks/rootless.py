"""The official rootless Docker on this machine, as a yardstick for the sandbox.

docs.docker.com/engine/security/rootless: dockerd-rootless.sh runs dockerd in RootlessKit's user
namespace. It needs an account with subordinate ids and, as it refuses root, one that is not root.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException

START_SECONDS = 60
SCRIPT = "/usr/share/docker.io/contrib/dockerd-rootless.sh"
PROGRAMS = ("rootlesskit", "slirp4netns", "newuidmap", "dockerd")


class NotHere(Exception):
    """Rootless Docker cannot run on this machine; the text says why."""


def account():
    """The account that dockerd runs as: this one, or for root the first with subordinate ids."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/subuid").read_text().splitlines():
            name = line.split(":")[0]
            with contextlib.suppress(KeyError):
                if os.getuid() in (0, pwd.getpwnam(name).pw_uid):
                    return pwd.getpwnam(name)
    raise NotHere("no account with subordinate ids in /etc/subuid (useradd makes one)")


def program():
    """The path of dockerd-rootless.sh. Raises NotHere."""
    for name in PROGRAMS:
        if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            raise NotHere(f"{name} is not installed")
    found = shutil.which("dockerd-rootless.sh") or SCRIPT
    if not os.path.exists(found):
        raise NotHere("dockerd-rootless.sh is not installed")
    return found


@contextlib.contextmanager
def folder():
    """A folder that the account may use, for all that its dockerd keeps."""
    with tempfile.TemporaryDirectory(prefix="rl", ignore_cleanup_errors=True) as path:
        owner = account()
        if os.getuid() == 0:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        try:
            yield path
        finally:
            if os.getuid():
                # Layers belong to subordinate ids, which only the user namespace may remove.
                subprocess.run(["rootlesskit", "rm", "-rf", f"{path}/data"], check=False)


@contextlib.contextmanager
def engine(path):
    """A client of a rootless dockerd that keeps its things in that folder. Raises NotHere."""
    owner = account()
    script = (
        f"exec env HOME={path} XDG_RUNTIME_DIR={path} PATH=$PATH:/usr/sbin:/sbin {program()}"
        f" --data-root {path}/data"
    )
    command = ["sh", "-c", script]
    if os.getuid() == 0:
        # Only root may open the tunnel device in some containers; the copy is in a mount
        # namespace of its own.
        command = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f"rm -f {path}/tun; mknod -m 666 {path}/tun c 10 200;"
            f" mount --bind {path}/tun /dev/net/tun;"
            f" mount --make-rshared /; exec setpriv --reuid {owner.pw_uid} --regid {owner.pw_gid}"
            f" --clear-groups sh -c '{script}'",
        ]
    with open(f"{path}/log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield _client(f"unix://{path}/docker.sock", process, Path(path, "log"))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _client(url, process, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(DockerException):
            return DockerClient(base_url=url)
        time.sleep(0.02)
    raise NotHere("it did not start: " + log.read_text(errors="replace")[-300:])
