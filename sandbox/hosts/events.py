"""Tells when something changes on the hosts, by the events of their Engines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.hosts.host import Host

__all__ = ["EngineEvents"]

# A network changes with these; a command that runs in a container changes nothing.
KINDS = ["container", "network"]
IGNORED = ("exec_", "attach", "resize", "top", "health_status")
RETRY_SECONDS = 0.5


class EngineEvents:
    """Follows the event streams of hosts in threads of its own until it is closed.

    changed: called after an event, and when a stream begins or ends, as in a reset: whatever
        was known of that host may be wrong.
    """

    def __init__(self, hosts: list[Host], changed: Callable[[], None]) -> None:
        self._changed = changed
        self._closed = threading.Event()
        self._streams: dict[str, Any] = {}
        for host in hosts:
            threading.Thread(target=self._follow, args=(host,), daemon=True).start()

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        for stream in list(self._streams.values()):
            # It may end by itself at this moment.
            with contextlib.suppress(Exception):
                stream.close()

    def _follow(self, host: Host) -> None:
        while not self._closed.is_set():
            # Whatever ends a stream (a reset, a stopped Engine, an idle minute), the next one
            # begins with a look at everything.
            with contextlib.suppress(Exception):
                self._read(host)
            if self._streams.pop(host.name, None):
                # Told once, however long it lasts until there is another.
                self._tell()
            self._closed.wait(RETRY_SECONDS)

    def _read(self, host: Host) -> None:
        stream = host.client.events(decode=True, filters={"type": KINDS})
        self._streams[host.name] = stream
        if self._closed.is_set():
            stream.close()
        self._tell()
        for event in stream:
            if not event.get("Action", "").startswith(IGNORED):
                self._tell()

    def _tell(self) -> None:
        if not self._closed.is_set():
            self._changed()
