"""The packet filter rules of a namespace, in the order in which the kernel asks them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sandbox.model.state import Chain, Namespace, Rule

__all__ = ["HOOKS", "Asked", "Hook", "Start", "ruleset"]


@dataclass(frozen=True, slots=True)
class Hook:
    """A place in the kernel where packets are looked at. tables: in the order of asking."""

    name: str
    what: str
    tables: tuple[str, ...]


# https://wiki.nftables.org/wiki-nftables/index.php/Netfilter_hooks, priorities within a hook
HOOKS = (
    Hook("PREROUTING", "comes in, before its way is chosen", ("raw", "mangle", "nat")),
    Hook("INPUT", "is for this host itself", ("mangle", "filter", "nat")),
    Hook("FORWARD", "comes in and goes out again", ("mangle", "filter")),
    Hook("OUTPUT", "begins on this host", ("raw", "mangle", "nat", "filter")),
    Hook("POSTROUTING", "goes out", ("mangle", "nat")),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule in its place. number: in its chain, from 1.

    hits: packets that it matched in the time looked at; None if that is not known.
    inside: the rules of the chain that it leads to.
    """

    rule: Rule
    number: int
    hits: int | None
    inside: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a hook enters a table: a built-in chain with its rules."""

    hook: Hook
    chain: Chain
    rules: tuple[Asked, ...]


def ruleset(
    namespace: Namespace, before: Namespace | None = None, family: str = "ip"
) -> tuple[Start, ...]:
    """The built-in chains that have rules, with the chains that these lead to.

    before: the same namespace earlier; hits are then counted from there, and else from when the
    rule was made.  family: ``ip`` or ``ip6``.
    """
    earlier = dict(_counted(before)) if before else {}
    hits: dict[int, int | None] = {}
    chains: dict[tuple[str, str], list[Rule]] = {}
    for rule, (key, packets) in zip(namespace.rules, _counted(namespace), strict=True):
        seen = earlier.get(key) or 0
        # A rule that counts less than it did was made anew.
        hits[id(rule)] = packets if packets is None or packets < seen else packets - seen
        if rule.family == family:
            chains.setdefault((rule.table, rule.chain), []).append(rule)

    def asked(table: str, chain: str, above: frozenset[str] = frozenset()) -> tuple[Asked, ...]:
        inner = above | {chain}
        return tuple(
            Asked(
                rule,
                number,
                hits[id(rule)],
                () if rule.target in inner else asked(table, rule.target, inner),
            )
            for number, rule in enumerate(chains.get((table, chain), ()), 1)
        )

    built_in = {(it.table, it.name): it for it in namespace.chains if it.family == family}
    return tuple(
        Start(hook, built_in[table, hook.name], asked(table, hook.name))
        for hook in HOOKS
        for table in hook.tables
        if (table, hook.name) in built_in and chains.get((table, hook.name))
    )


def _counted(namespace: Namespace) -> list[tuple[tuple[object, ...], int | None]]:
    """For each rule, what names it (a rule may be there twice), and its packets."""
    seen: Counter[tuple[object, ...]] = Counter()
    found: list[tuple[tuple[object, ...], int | None]] = []
    for rule in namespace.rules:
        key = (rule.family, rule.table, rule.chain, rule.text)
        seen[key] += 1
        found.append(((*key, seen[key]), rule.packets))
    return found
