"""The picture beside the tabs, which follows what happens on the hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sandbox.errors import SandboxError
from sandbox.hosts.events import EngineEvents
from sandbox.model.difference import steady
from sandbox.model.state import HostState, Snapshot
from sandbox.widgets.console import Console
from sandbox.widgets.live import LiveTopology
from sandbox.widgets.panel.hosts import Hosts

__all__ = ["Picture"]

# Changes that follow each other within this time are marked as one.
BURST_SECONDS = 4.0


class Picture:
    """The topology of the hosts. It follows them from follow() until close().

    looked: called after each look at the hosts, in a thread of the picture's own; what fails there
        is said in the console.

    topology: the widget.  shown: the snapshot that it shows.  images: see ``Hosts.images``.
    """

    def __init__(
        self, hosts: Hosts, console: Console, looked: Callable[[], None], *, detail: str
    ) -> None:
        self._hosts, self._console, self._looked = hosts, console, looked
        self.shown = self._baseline = hosts.snapshot()
        self._changed_at = 0.0
        self.topology = LiveTopology(self.shown, detail=detail)
        self.images = hosts.images()
        self._wanted = threading.Event()
        self._closed = False
        self._events: EngineEvents | None = None

    def follow(self) -> None:
        """Begin to follow the hosts."""
        threading.Thread(target=self._refresh, daemon=True).start()
        followed = [self._hosts[name] for name in self._hosts.names]
        self._events = EngineEvents(followed, self.look_again)

    def close(self) -> None:
        """Stop following the hosts."""
        self._closed = True
        if self._events:
            self._events.close()
        self._wanted.set()

    def look_again(self) -> None:
        """Something may have changed: have the picture brought up to date soon."""
        self._wanted.set()

    def state(self, name: str) -> HostState:
        """A host as it is in the picture."""
        found = self.shown.host(name)
        assert found is not None
        return found

    def _refresh(self) -> None:
        while not self._closed:
            self._wanted.wait()
            self._wanted.clear()
            if self._closed:
                return
            try:
                self.look()
            except SandboxError as error:
                self._console.say(str(error), failed=True)
            except Exception as error:
                # The next event of a host finds the thread alive, and looks again.
                self._console.say(f"The picture is not up to date: {error!r}", failed=True)

    def look(self) -> None:
        """Take a snapshot, and show it if something changed. Raises SandboxError."""
        now = self._hosts.snapshot()
        # Only one thread changes what is shown.
        if [*map(steady, now.hosts)] != [*map(steady, self.shown.hosts)]:
            self._show(now)
        self._looked()

    def _show(self, now: Snapshot) -> None:
        images = self._hosts.images()
        moment = time.monotonic()
        if any(host.unread for host in self.shown.hosts):
            # A host that could not be read, as in a reset: all of it would look new.
            self._baseline = now
        elif moment - self._changed_at > BURST_SECONDS:
            self._baseline = self.shown
        self._changed_at = moment
        self.topology.show(now, before=self._baseline)
        # Not before: what could not be drawn is drawn at the next event.
        self.shown, self.images = now, images
