"""Many byte streams over one link: the supervisor and the VM's agent both run this file.

The link is a virtio-serial port: one ordered byte pipe in each direction. A frame is a
9-byte header (kind, stream id, payload length; network byte order) and its payload.
Only the supervisor opens streams. Each direction of each stream starts with a credit of
WINDOW bytes, so that one slow reader cannot hold up the others.

Standard library only, and no asyncio: Debian's python3-minimal has none.
"""

import contextlib
import os
import selectors
import socket
import struct
from collections.abc import Callable

__all__ = ["Loop", "Mux"]

HEADER = struct.Struct("!BII")
HELLO, OPEN, DATA, EOF, RESET, CREDIT = range(6)
WINDOW = 256 * 1024
CHUNK = 32 * 1024
LINK_BUFFER = 1024 * 1024
# A frame that says it is longer than any is no frame: the link is out of step.
LONGEST = 2 * CHUNK


class Loop:
    """A selector loop; other threads hand it work with ``call``."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self._calls: list[Callable[[], None]] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self.watch(self._wake_read, selectors.EVENT_READ, self._woken)

    def watch(self, fileobj: object, events: int, callback: Callable[[int], None]) -> None:
        """Have callback(events) called while fileobj is ready; events 0 stops that."""
        known = fileobj in self.selector.get_map()
        if events and known:
            self.selector.modify(fileobj, events, callback)  # type: ignore[arg-type]
        elif events:
            self.selector.register(fileobj, events, callback)  # type: ignore[arg-type]
        elif known:
            self.selector.unregister(fileobj)  # type: ignore[arg-type]

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop's own thread call function soon."""
        self._calls.append(function)
        os.write(self._wake_write, b".")

    def _woken(self, _events: int) -> None:
        # A callback of this round may have run the loop, and taken it.
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        calls, self._calls = self._calls, []
        for function in calls:
            function()

    def close(self) -> None:
        """Give back what the loop itself holds."""
        self.selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def step(self, timeout: float | None = None) -> None:
        """Wait for events, at most timeout seconds, and handle them."""
        for key, events in self.selector.select(timeout):
            # An earlier callback of this round may have closed it.
            if self.selector.get_map().get(key.fd) is key:
                key.data(events)


class _Stream:
    __slots__ = ("credit", "out", "peer_ended", "sent_eof", "sock", "target")

    def __init__(self, sock: socket.socket, target: str) -> None:
        sock.setblocking(False)
        self.sock, self.target = sock, target
        self.out = bytearray()
        self.credit = WINDOW
        self.sent_eof = False
        self.peer_ended = False


class Mux:
    """One end of the link.

    loop: what it runs on.  fd: the link, readable and writable.
    dial: given a target's name, gives a connected socket or raises; None on the side that opens
        streams.
    ended: called once when the link closes.

    frames: how many went either way so far.
    """

    def __init__(
        self,
        loop: Loop,
        fd: int,
        *,
        dial: Callable[[str], socket.socket] | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        os.set_blocking(fd, False)
        self._loop, self._fd, self._dial, self._ended = loop, fd, dial, ended
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._full = False
        self.frames = 0
        self._watch_link()

    def targets(self) -> list[str]:
        """What the open streams lead to."""
        return [stream.target for stream in self._streams.values()]

    def hello(self) -> None:
        """Tell the other side to forget every stream of an earlier session."""
        self._send(HELLO, 0)

    def open(self, sock: socket.socket, target: str) -> None:
        """Join sock to a new stream that the other side connects to target."""
        stream_id, self._next = self._next, self._next + 1
        self._send(OPEN, stream_id, target.encode())
        self._add(stream_id, sock, target)

    def reset(self) -> None:
        """Close every stream, here and at the other side."""
        for stream_id in list(self._streams):
            self._reset(stream_id)

    def close(self) -> None:
        """Close every stream and the link."""
        self._forget()
        if self._fd >= 0:
            self._loop.watch(self._fd, 0, self._on_link)
            os.close(self._fd)
            self._fd = -1
            if self._ended:
                self._ended()

    def _add(self, stream_id: int, sock: socket.socket, target: str) -> None:
        self._streams[stream_id] = _Stream(sock, target)
        self._watch(stream_id)

    def _forget(self) -> None:
        for stream_id in list(self._streams):
            self._drop(stream_id)

    def _drop(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id)
        self._loop.watch(stream.sock, 0, lambda _events: None)
        stream.sock.close()

    def _send(self, kind: int, stream_id: int, payload: bytes = b"") -> None:
        self.frames += 1
        self._outbox += HEADER.pack(kind, stream_id, len(payload)) + payload
        self._flush()

    def _flush(self) -> None:
        if self._fd < 0:
            return
        try:
            while self._outbox:
                del self._outbox[: os.write(self._fd, self._outbox[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self._loop.call(self.close)
            return
        self._watch_link()
        full = len(self._outbox) > LINK_BUFFER
        if full != self._full:
            self._full = full
            for stream_id in self._streams:
                self._watch(stream_id)

    def _watch_link(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        self._loop.watch(self._fd, events, self._on_link)

    def _watch(self, stream_id: int) -> None:
        stream = self._streams[stream_id]
        events = 0
        if not stream.sent_eof and stream.credit and not self._full:
            events |= selectors.EVENT_READ
        if stream.out:
            events |= selectors.EVENT_WRITE
        self._loop.watch(stream.sock, events, lambda ready: self._on_stream(stream_id, ready))

    def _on_link(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush()
        if not events & selectors.EVENT_READ or self._fd < 0:
            return
        try:
            data = os.read(self._fd, 4 * CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._inbox += data
        start = 0
        while len(self._inbox) - start >= HEADER.size:
            kind, stream_id, length = HEADER.unpack_from(self._inbox, start)
            if length > LONGEST:
                self._inbox.clear()
                self.reset()
                return
            end = start + HEADER.size + length
            if len(self._inbox) < end:
                break
            payload = bytes(self._inbox[start + HEADER.size : end])
            start = end
            self._on_frame(kind, stream_id, payload)
        del self._inbox[:start]

    def _on_frame(self, kind: int, stream_id: int, payload: bytes) -> None:
        self.frames += 1
        if kind == HELLO:
            self._forget()
            return
        if kind == OPEN and self._dial:
            if stream_id in self._streams:
                self._drop(stream_id)
            try:
                target = payload.decode()
                self._add(stream_id, self._dial(target), target)
            except Exception as error:
                # Whatever an Engine answers, or a target is called, concerns this stream alone.
                self._send(RESET, stream_id, str(error).encode(errors="replace")[:CHUNK])
            return
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if kind == DATA:
            stream.out += payload
            self._write(stream_id, stream)
        elif kind == EOF:
            stream.peer_ended = True
            self._write(stream_id, stream)
        elif kind == CREDIT:
            stream.credit += int.from_bytes(payload, "big")
            self._watch(stream_id)
        elif kind == RESET:
            stream.peer_ended = stream.sent_eof = True
            self._write(stream_id, stream)

    def _on_stream(self, stream_id: int, events: int) -> None:
        stream = self._streams[stream_id]
        if events & selectors.EVENT_WRITE:
            self._write(stream_id, stream)
        if not events & selectors.EVENT_READ or stream_id not in self._streams:
            return
        try:
            data = stream.sock.recv(min(CHUNK, stream.credit))
        except BlockingIOError:
            return
        except OSError:
            self._reset(stream_id)
            return
        if data:
            stream.credit -= len(data)
            self._send(DATA, stream_id, data)
        else:
            stream.sent_eof = True
            self._send(EOF, stream_id)
        self._settle(stream_id, stream)

    def _write(self, stream_id: int, stream: _Stream) -> None:
        try:
            sent = stream.sock.send(stream.out) if stream.out else 0
            del stream.out[:sent]
            if stream.peer_ended and not stream.out:
                stream.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            sent = 0
        except OSError:
            # It takes no more; what it said before may still wait to be read.
            sent = len(stream.out)
            stream.out.clear()
            stream.peer_ended = True
        if sent:
            self._send(CREDIT, stream_id, sent.to_bytes(4, "big"))
        self._settle(stream_id, stream)

    def _reset(self, stream_id: int) -> None:
        self._drop(stream_id)
        self._send(RESET, stream_id)

    def _settle(self, stream_id: int, stream: _Stream) -> None:
        if stream_id not in self._streams:
            return
        if stream.sent_eof and stream.peer_ended and not stream.out:
            self._drop(stream_id)
        else:
            self._watch(stream_id)
