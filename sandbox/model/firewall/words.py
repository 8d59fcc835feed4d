"""Packet filter rules in words."""

from __future__ import annotations

import shlex

from sandbox.model.state import Rule

__all__ = ["describe"]

# What iptables-extensions(8) calls them, and what they say. "{}" is the value.
_CONDITIONS = {
    "-s": "from {}",
    "-d": "to {}",
    "-i": "in by {}",
    "-o": "out by {}",
    "--sport": "source port {}",
    "--ctstate": "state {}",
    "--ctorigdstport": "once for port {}",
    "--dst-type": "to a {} address",
    "--src-type": "from a {} address",
    "--mark": "mark {}",
}
# The others are names of chains (iptables-extensions(8)).
_TARGETS = {
    "ACCEPT",
    "DNAT",
    "DROP",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NFLOG",
    "NOTRACK",
    "REDIRECT",
    "REJECT",
    "RETURN",
    "SNAT",
    "TRACE",
}
_DESTINATIONS = ("--to-destination", "--to-source", "--to-ports", "--set-xmark", "--reject-with")


def describe(rule: Rule) -> str:
    """What a rule does in a few words, such as ``DNAT tcp 8080 → 172.17.0.2:80``.

    A rule with an option that is not known here is given as it is written.
    """
    try:
        words = shlex.split(rule.text)
    except ValueError:
        return rule.text
    if not words or not rule.chain or not ({"-j", "-g"} & set(words)):
        return rule.text
    told = _told(words)
    return rule.text if told is None else told


def _told(words: list[str]) -> str | None:
    action, arrow, protocol = "", "", ""
    ports, conditions = "", []
    negated = False
    at = 0
    while at < len(words):
        word = words[at]
        if word == "!":
            negated, at = True, at + 1
            continue
        value = words[at + 1] if at + 1 < len(words) else ""
        if word in ("-j", "-g"):
            action = value if value in _TARGETS else f"go to {value}"
        elif word == "-p" and not negated:
            protocol = f" {value}"
        elif word == "--dport" and not negated:
            ports = f" {value}"
        elif word in _CONDITIONS:
            text = _CONDITIONS[word].format(value.removesuffix("/32"))
            conditions.append(f"not {text}" if negated else text)
        elif word in _DESTINATIONS:
            arrow = f" → {value}"
        elif word != "-m":
            return None
        negated, at = False, at + 2
    # A destination goes on as a clause of its own: "DNAT tcp 8080 → 172.17.0.2:80, not in by …".
    told = f"{action}{protocol}{ports}{arrow}"
    return f"{told}{', ' if arrow else ' '}{', '.join(conditions)}" if conditions else told
