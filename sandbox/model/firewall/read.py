"""Reads packet filter rules from the text of iptables-save(8) and of ``nft list ruleset``.

Nothing that these programs may print makes it fail: a line that it does not know is kept as a
rule without a chain.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

from sandbox.model.state import Chain, Rule

__all__ = ["address_of", "new_destination", "option", "read_nft", "read_save"]

_COUNTERS = re.compile(r"\[(\d+):(\d+)\] ")
_NFT_COUNTER = re.compile(r"counter packets (\d+) bytes (\d+) ?")
_NFT_TABLE = re.compile(r"table (\S+) (\S+) \{")
_NFT_CHAIN = re.compile(r"chain (\S+) \{")
_NFT_POLICY = re.compile(r"type .* policy (\w+);")
_NFT_VERDICT = re.compile(
    r"\b(?:(?:jump|goto) (?P<chain>\S+)|(?P<verdict>accept|drop|return|reject|queue|continue"
    r"|masquerade|dnat|snat|redirect|notrack|tproxy)\b)"
)
_QUOTED = re.compile(r'"[^"]*"')
_NFT_DESTINATION = re.compile(
    r"\b(?:dnat|redirect)\b.*? to (.+?)(?: (?:fully-random|random|persistent|comment)\b.*)?$"
)


def read_save(text: str, family: str) -> tuple[tuple[Chain, ...], tuple[Rule, ...]]:
    """Chains and rules of ``iptables-save -c`` (family ``ip``) or ``ip6tables-save -c``."""
    chains, rules = [], []
    table = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#") or line == "COMMIT":
            continue
        counted = _COUNTERS.match(line)
        words = line[counted.end() if counted else 0 :].split(" ", 2)
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            name, _, rest = line[1:].partition(" ")
            policy = rest.partition(" ")[0]
            chains.append(Chain(family, table, name, "" if policy == "-" else policy))
        elif words[0] == "-A" and len(words) > 1:
            rule = words[2] if len(words) > 2 else ""
            numbers = map(int, counted.groups()) if counted else ()
            target = option(rule, "-j") or option(rule, "-g")
            rules.append(Rule(family, table, words[1], rule, target, *numbers))
        else:
            rules.append(Rule(family, table, "", line, ""))
    return tuple(chains), tuple(rules)


def option(rule: str, name: str) -> str:
    """What follows the option name in a rule of iptables-save; "" if it is not there."""
    try:
        words = shlex.split(rule)
    except ValueError:
        words = rule.split()
    return next((after for word, after in pairwise(words) if word == name), "")


def new_destination(rule: str) -> str:
    """Where a rule of iptables-save or nft sends on what it translates; "" if it does not say.

    An address, a port, or both: ``172.17.0.2:80``, ``[fd00::2]:80``, ``fd00::2``, ``:80``; each of
    them may be a range (iptables-extensions(8), DNAT), and nft may look it up in a map.
    """
    if ports := option(rule, "--to-ports"):
        return f":{ports}"
    found = _NFT_DESTINATION.search(_QUOTED.sub('""', rule))
    return option(rule, "--to-destination") or (found[1] if found else "")


def address_of(destination: str) -> str:
    """What ``new_destination`` has before the port: an address, a range, or ""."""
    if destination.startswith("["):
        return destination[1:].partition("]")[0]
    # Without brackets a port comes after an IPv4 address only.
    return destination if destination.count(":") > 1 else destination.partition(":")[0]


def read_nft(
    text: str, without: frozenset[tuple[str, str]] = frozenset()
) -> tuple[tuple[Chain, ...], tuple[Rule, ...]]:
    """Chains and rules of ``nft list ruleset``.

    without: tables to leave out, as family and name: ``("ip", "nat")``.
    A set or map of a table is kept as a rule without a chain.
    """
    chains: list[Chain] = []
    rules: list[Rule] = []
    family = table = chain = ""
    for line in _statements(text):
        if found := _NFT_TABLE.fullmatch(line):
            (family, table), chain = found.groups(), ""
        elif found := _NFT_CHAIN.fullmatch(line):
            chain = found[1]
            chains.append(Chain(family, table, chain, ""))
        elif line == "}":
            chain = ""
        elif chain and (found := _NFT_POLICY.fullmatch(line)):
            chains[-1] = Chain(family, table, chain, found[1].upper())
        elif not line.startswith("#"):
            rules.append(_nft_rule(family, table, chain, line))
    return (
        tuple(chain for chain in chains if (chain.family, chain.table) not in without),
        tuple(rule for rule in rules if (rule.family, rule.table) not in without),
    )


def _statements(text: str) -> Iterator[str]:
    """Lines without their indent; what spreads over several, such as a set, as one."""
    held, depth = "", 0
    for line in filter(None, map(str.strip, text.splitlines())):
        if not held and (_NFT_TABLE.fullmatch(line) or _NFT_CHAIN.fullmatch(line) or line == "}"):
            yield line
            continue
        bare = _QUOTED.sub("", line)
        depth += bare.count("{") - bare.count("}")
        held = f"{held} {line}" if held else line
        if depth <= 0:
            yield held
            held, depth = "", 0
    if held:
        yield held


def _nft_rule(family: str, table: str, chain: str, line: str) -> Rule:
    counted = _NFT_COUNTER.search(line)
    numbers = map(int, counted.groups()) if counted else ()
    text = _NFT_COUNTER.sub("", line).strip()
    # The last word that says what becomes of the packet; names in quotes are none.
    verdicts = list(_NFT_VERDICT.finditer(_QUOTED.sub('""', text))) if chain else []
    target = ""
    if verdicts:
        target = verdicts[-1]["chain"] or verdicts[-1]["verdict"].upper()
    return Rule(family, table, chain, text, target, *numbers)
