"""Every environment variable that the course reads, and nothing else reads one.

An empty one counts as not set, as the XDG Base Directory Specification has it for its own.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["PASSWORD", "SETTINGS", "Setting", "given", "read"]


def _seconds(value: str) -> bool:
    with contextlib.suppress(ValueError):
        return 0 <= float(value) < math.inf
    return False


@dataclass(frozen=True, slots=True)
class Setting:
    """An environment variable.

    purpose: what it is for; default: what holds if it is not set. Both are Markdown.
    takes: what its value has to be, to follow "has to be"; "" for anything.
    fits: whether a value is that.  example: one that is.
    told: whether ``doctor`` tells it where it is set. What every account has is not told.
    """

    name: str
    purpose: str
    default: str = ""
    takes: str = ""
    fits: Callable[[str], bool] = bool
    example: str = ""
    told: bool = True


_ACCOUNT = "a name that `report` leaves out"
_HUB = "set by a JupyterHub that runs the wall as its service: "
_TABLE = (
    Setting(
        "SANDBOX_ENGINE", "where the hosts run: `docker` or `vm`",
        "your Docker if it is running, otherwise the VM",
    ),
    Setting("SANDBOX_ID", "the sandbox to use if you name none", "`default`"),
    Setting(
        "SANDBOX_ACCELERATOR", "how the VM runs: `kvm` or `tcg`", "KVM if it works",
        takes="kvm or tcg", fits=("kvm", "tcg").__contains__, example="tcg",
    ),
    Setting(
        "SANDBOX_IDLE_SECONDS", "idle seconds before the VM pauses, 0 for never", "120",
        takes="a number of seconds, 0 for never", fits=_seconds, example="120",
    ),
    Setting(
        "WIRE_BY_WIRE_CACHE",
        "the folder in which the course makes a folder for what it can rebuild",
        "the account's cache folder",
    ),
    Setting(
        "WIRE_BY_WIRE_DATA", "the folder for your progress",
        "`wire-by-wire` in the account's data folder",
    ),
    Setting(
        "WIRE_BY_WIRE_HOSTS", "a folder with packed hosts, to use instead of building them here",
        "the hosts are built",
    ),
    Setting(
        "WIRE_BY_WIRE_UNSEEN", "set by the course for its own programs that run beside a sandbox"
    ),
    Setting("XDG_CACHE_HOME", "the account's cache folder on Linux", "`~/.cache`"),
    Setting("XDG_DATA_HOME", "the account's data folder on Linux", "`~/.local/share`"),
    Setting("XDG_RUNTIME_DIR", "the folder for the sandboxes' sockets", "the temporary folder"),
    Setting("TMPDIR", "the temporary folder", "`/tmp`"),
    Setting("DOCKER_HOST", "the Docker to use, as for the `docker` command", "`DOCKER_CONTEXT`"),
    Setting("DOCKER_CONTEXT", "the same, by the name of a context", "the current context"),
    Setting("DOCKER_TLS_VERIFY", "whether to reach that Docker over TLS", "no"),
    Setting("DOCKER_CERT_PATH", "the folder with the certificates and key for it", "`~/.docker`"),
    Setting("JUPYTERHUB_SERVICE_NAME", f"{_HUB}its name"),
    Setting("JUPYTERHUB_SERVICE_PREFIX", f"{_HUB}the path it serves", "`/`"),
    Setting("JUPYTERHUB_SERVICE_URL", f"{_HUB}where it listens", "`--host` and `--port`"),
    Setting(
        "JPY_SESSION_NAME", "set by JupyterLab: the notebook, to record when you started it",
        told=False,
    ),
    Setting("HOME", "the account's own folder", told=False),
    Setting("TERM", "the terminal type of a shell on a host", "`xterm`", told=False),
    Setting("USER", _ACCOUNT, told=False),
    Setting("LOGNAME", _ACCOUNT, told=False),
    Setting("SUDO_USER", _ACCOUNT, told=False),
    Setting("JUPYTERHUB_USER", _ACCOUNT, told=False),
    Setting("NB_USER", _ACCOUNT, told=False),
)  # fmt: skip
SETTINGS = {setting.name: setting for setting in _TABLE}
# The name and password that a URL has before its host; a password may have an @ too.
PASSWORD = re.compile(r"(://)[^\s/\"']+@")


def read(name: str) -> str:
    """What that variable of SETTINGS is set to; "" if it is not.

    ``errors.chosen`` also says what is wrong with it.
    """
    return os.environ.get(SETTINGS[name].name, "")


def given() -> dict[str, str]:
    """Those that are set and told, with their values; a secret in one is left out."""
    return {
        name: PASSWORD.sub(r"\1[secret]@", read(name))
        for name, setting in SETTINGS.items()
        if setting.told and read(name)
    }
