"""Which Debian packages the hosts and their toolbox have: as built, and as the course was proved.

A list is ``{"hosts": {package: version}, "toolbox": {package: version}}``.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["FILE", "PROVED", "changes", "notice", "proved", "read", "record", "summary"]

FILE = "packages.json"
# The list with which all tests, and so the lessons' stored outputs, were proved: `make drift`.
PROVED = Path(__file__).with_name("proved.json")
# What lessons show; in a host's list by these names, and the kernel by the beginning of its name.
SHOWN = {
    "docker.io": "Docker Engine",
    "linux-binary-": "Linux",
    "iptables": "iptables",
    "nftables": "nftables",
    "iproute2": "iproute2",
}

Versions = dict[str, dict[str, str]]


def record(folder: Path, **lists: Path) -> None:
    """Write FILE to folder. lists: for each name a file with ``PACKAGE VERSION`` lines."""
    found = {
        name: dict(sorted(line.split() for line in path.read_text().splitlines()))
        for name, path in lists.items()
    }
    (folder / FILE).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> Versions:
    """What the files in folder were built with; {} if it is not known."""
    return _read(folder / FILE)


def proved() -> Versions:
    """What the course was last proved with."""
    return _read(PROVED)


def _read(path: Path) -> Versions:
    try:
        read: Versions = json.loads(path.read_text())
        return read
    except (OSError, ValueError):
        return {}


def summary(versions: Versions) -> dict[str, str]:
    """The versions that lessons show, such as ``{"Docker Engine": "28.5.2+dfsg4-1"}``."""
    found = {}
    for package, version in sorted(versions.get("hosts", {}).items()):
        for known, name in SHOWN.items():
            if package == known or (known.endswith("-") and package.startswith(known)):
                found[name] = version
    return {name: found[name] for name in SHOWN.values() if name in found}


def changes(was: Versions, now: Versions) -> list[str]:
    """One line for each package that differs, such as ``hosts: crun 1.2 -> 1.3``."""
    lines = []
    for place in sorted({*was, *now}):
        old, new = was.get(place, {}), now.get(place, {})
        lines += [
            f"{place}: {name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    return lines


def notice(folder: Path) -> str:
    """One line that says that the files in folder have other packages than the course was proved
    with; "" if they do not, or nothing is known of them."""
    now, was = read(folder), proved()
    found = changes(was, now) if was and now else []
    if not found:
        return ""
    before, after = summary(was), summary(now)
    shown = [
        f"{name} {version} (proved: {before.get(name, 'none')})"
        for name, version in after.items()
        if before.get(name) != version
    ]
    text = f"{len(found)} of the hosts' packages differ from those the course was last proved with"
    return f"{text}: {', '.join(shown)}" if shown else text
