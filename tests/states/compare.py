"""What of a host's state stays the same when it is made again."""

import dataclasses
import json
import re

# What is drawn anew each time, and what stands for it.
VARIES = (
    (r"veth[0-9a-f]{7}", "VETH"),
    (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
    (r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b", "ID"),
    (r"\b[0-9a-z]{25}\b", "SWARM-ID"),
    (r"\bfe80::[0-9a-f:]+", "LINK-LOCAL"),
    (r"\bfd[0-9a-f]{2}:[0-9a-f:]+", "UNIQUE-LOCAL"),
    # Marks lead packets to an IPVS service.
    (r"mark set 0x[0-9a-f]+", "MARK"),
    # The embedded DNS server's sockets have random ports.
    (r'"127\.0\.0\.11",\s+"port": \d+', '"127.0.0.11"'),
    (r"127\.0\.0\.11:\d+|sport \d{5}|--sport \d{5}", "PORT"),
)
# Of a Linux that is as new every time, these are in no order that anybody chose.
DROPPED = ("inode", "index", "neighbours", "forwarding", "started", "packets", "bytes", "peers")


def lasting(host):
    """A HostState as JSON text without what varies."""
    return _masked(json.dumps(_kept(dataclasses.asdict(host)), indent=1, ensure_ascii=False))


def _masked(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


def _kept(value):
    if isinstance(value, dict):
        return {key: _kept(it) for key, it in value.items() if key not in DROPPED}
    if isinstance(value, list | tuple):
        kept = [_kept(it) for it in value]
        return sorted(kept, key=lambda it: _masked(json.dumps(it)))
    return value
