"""Send one probe and see every hop of it, on all hosts at once."""

from __future__ import annotations

import contextlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError
from sandbox.hosts.sandbox import running

if TYPE_CHECKING:
    from sandbox.views.journey import Journey
    from sandbox.views.journeys import Journeys

__all__ = ["compare_journeys", "journey"]

SMALLEST, LARGEST = 16, 65000
# Another journey on that host may take as long as it is let.
TURN_SECONDS = 40.0


def journey(
    source: str,
    destination: str,
    *,
    tcp: int | None = None,
    udp: int | None = None,
    icmp: bool = False,
    network: str | None = None,
    size: int = SMALLEST,
    id: str | None = None,
) -> Journey:
    """Send one probe and follow it through every network namespace of every host.

    source: a container ``host-a/web``, a host ``host-a``, or another namespace as snapshots
        name it, ``host-a/netns:blue``.
    destination: the same; or an address; or a name, which source looks up as its programs do;
        or ``outside``, the LAN's router.
    tcp, udp: the port.  icmp: a ping, which it also is without any of the three.
    network: which of the destination's Docker networks gives its address; None: one that source
        is on too, else any.
    size: bytes of payload, 16 to 65000, sent with Don't Fragment; UDP and ICMP only.

    Gives a ``Journey``: ``.outcome``, ``.hops``, ``.text``, ``.to_dict()``, ``.to_pcap(path)``.
    The outcome is answered, delivered (no answer is due), refused, dropped (something says by
    what), unanswered (it arrived), left (the hosts) or lost (nothing says where).
    A TCP probe is a connection, of which the first packet and its answer are followed: opened,
    one line of 16 random characters sent, closed. Nothing is left of it but what any connection
    leaves: an address learned, an entry of connection tracking. Times tell the order and are no
    measurement: all is traced meanwhile.

    Raises SandboxError if no sandbox runs, an end is not known, has no address or does not run,
    or a host does not answer.
    """
    sandbox = running(id)
    protocol, port = _protocol(tcp, udp, icmp)
    if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
        raise SandboxError(f"A probe cannot have {size!r} bytes.", fix=f"Take 16 to {LARGEST}.")
    if protocol == "tcp" and size != SMALLEST:
        raise SandboxError("A TCP probe has no size.", fix="Take udp=… or icmp=True with size=….")
    from sandbox.hosts.capture import Capture
    from sandbox.model.follow import follow
    from sandbox.model.journey import Probe
    from sandbox.views.journey import Journey

    cookie, isn = secrets.token_urlsafe(12), 1 + secrets.randbelow(2**32 - 2)
    request: dict[str, object] = {"op": "capture", "cookie": cookie, "isn": isn}
    with ThreadPoolExecutor() as pool, contextlib.ExitStack() as opened:
        conversations = {}
        for name in sandbox.hosts:
            host = sandbox.host(name)
            conversations[name] = opened.enter_context(host.converse(request))
            # Two journeys at once take the hosts in the same order, so neither waits for ever.
            conversations[name].hear(TURN_SECONDS)
        capture = Capture(conversations, pool)
        address, looked_up = capture.resolve(source, destination, network)
        probe = Probe(
            capture.namespace(source).id,
            destination,
            protocol,
            address,
            port,
            size,
            cookie.encode(),
            isn,
            looked_up,
        )
        sent = capture.send(probe)
        evidence = capture.stop(probe)
        return Journey(follow(probe, sent, capture.snapshot, evidence, capture.ask))


def compare_journeys(first: Journey, second: Journey) -> Journeys:
    """Two journeys beside each other: why does this one arrive, and that one not?

    Raises SandboxError if one of them is none.
    """
    from sandbox.views.journey import Journey
    from sandbox.views.journeys import Journeys

    for given in (first, second):
        if not isinstance(given, Journey):
            raise SandboxError(f"{given!r} is no journey.", fix="sandbox.journey(…) makes one.")
    return Journeys(first.passage, second.passage)


def _protocol(tcp: int | None, udp: int | None, icmp: bool) -> tuple[str, int]:
    given = [(name, port) for name, port in (("tcp", tcp), ("udp", udp)) if port is not None]
    if len(given) + icmp > 1:
        raise SandboxError("A probe has one protocol.", fix="Write tcp=80, udp=53 or icmp=True.")
    if not given:
        return "icmp", 0
    name, port = given[0]
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise SandboxError(f"{port!r} is no {name.upper()} port.", fix="Take 1 to 65535.")
    return name, port
