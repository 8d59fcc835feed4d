"""Build what the hosts need with no more rights than a Docker build has, as Binder builds it.

python scripts/build_as_docker.py [OPTION...]      options are those of `python -m sandbox build`

What was built so is kept in build/built-as-docker.json, for tests/integration/test_build.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from sandbox.paths import cache_dir

FILE = Path(__file__).parents[1] / "build/built-as-docker.json"
# docs.docker.com/engine/containers/run: "Runtime privilege and Linux capabilities".
CAPABILITIES = (
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
)


def limited(*command: str) -> list[str]:
    """The command line that runs a command with those rights alone."""
    if os.getuid():
        # An account without root has none of them anyway.
        return list(command)
    kept = ",".join(["-all", *(f"+{name}" for name in CAPABILITIES)])
    return ["setpriv", f"--inh-caps={kept}", f"--bounding-set={kept}", *command]


def there() -> dict[str, int]:
    """The bases and snapshots in the cache: a folder's name, and when it was made, in ns."""
    return {
        path.parent.name: path.stat().st_mtime_ns
        for path in cache_dir().glob("*/sizes.json")
        if path.parent.name.startswith(("base-", "snapshot-"))
    }


def kept() -> dict[str, int]:
    """Those that were built so, in whichever cache."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def built() -> dict[str, int]:
    """Those in the cache that were built so."""
    return dict(there().items() & kept().items())


def main(options: list[str]) -> int:
    """Build; gives the status of the build."""
    before = there()
    status = subprocess.call(limited(sys.executable, "-m", "sandbox", "build", *options))
    FILE.parent.mkdir(exist_ok=True)
    # Another worker may read it.
    new = FILE.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(kept() | dict(there().items() - before.items())))
    new.rename(FILE)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
