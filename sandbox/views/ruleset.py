"""The packet filter of a host as a list to read from the top, with the rules that matched."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from sandbox.model.firewall.hooks import Asked, Start
from sandbox.model.firewall.words import describe

__all__ = ["Ruleset"]

LIT = "border-left: 4px solid #1f77b4; background: rgba(31, 119, 180, .15); font-weight: 600"
UNLIT = "border-left: 4px solid transparent; opacity: .6"


class Ruleset:
    """The rules of a namespace.

    starts: of ``sandbox.model.firewall.hooks``.  matched: whether only what matched in the time
    looked at is of interest: the text then has nothing else, and in HTML the rest is folded.
    unread: why not all rules could be read, or "".
    """

    def __init__(
        self, title: str, starts: tuple[Start, ...], *, matched: bool, unread: str = ""
    ) -> None:
        self._title, self._starts, self._matched = title, starts, matched
        self._unread = f"The rules could not be read: {unread}" if unread else ""

    def __repr__(self) -> str:
        lines = [self._title]
        for hook, starts in groupby(self._starts, key=lambda it: it.hook):
            told = [line for start in starts for line in self._table(start)]
            if told:
                lines += [f"{hook.name}: what {hook.what}", *told]
        if self._unread:
            lines.append(self._unread)
        elif len(lines) == 1:
            lines.append("no rule matched" if self._matched else "no rules")
        return "\n".join(lines)

    def _table(self, start: Start) -> Iterator[str]:
        rules = list(self._lines(start.rules, "    "))
        if rules:
            yield f"  {start.chain.table} {start.chain.name}, policy {start.chain.policy}"
            yield from rules

    def _lines(self, rules: tuple[Asked, ...], indent: str) -> Iterator[str]:
        for asked in rules:
            if asked.hits or not self._matched:
                yield f"{indent}{asked.number}  {_words(asked)}"
                yield from self._lines(asked.inside, indent + "    ")

    def _repr_html_(self) -> str:
        parts = [f"<div><b>{escape(self._title)}</b>"]
        if self._unread:
            parts.append(f"<div>{escape(self._unread)}</div>")
        for hook, found in groupby(self._starts, key=lambda it: it.hook):
            starts = list(found)
            lit = any(asked.hits for start in starts for asked in start.rules)
            shown = " open" if lit or not self._matched else ""
            parts.append(f"<details{shown}><summary><b>{hook.name}</b>: what {hook.what}</summary>")
            for start in starts:
                parts.append(
                    f'<div style="margin: .3em 0 0 1em">{start.chain.table} {start.chain.name},'
                    f" policy {start.chain.policy}</div>{self._rows(start.rules)}"
                )
            parts.append("</details>")
        return "".join([*parts, "</div>"])

    def _rows(self, rules: tuple[Asked, ...]) -> str:
        rows = []
        for asked in rules:
            style = LIT if self._matched and asked.hits else UNLIT if self._matched else ""
            inside = ""
            if asked.inside and (asked.hits or not self._matched):
                inside = self._rows(asked.inside)
            elif asked.inside:
                inside = (
                    f"<details><summary>{escape(asked.rule.target)}</summary>"
                    f"{self._rows(asked.inside)}</details>"
                )
            rows.append(
                f'<li value="{asked.number}"><div style="{style}; padding-left: .4em"'
                f' title="{escape(asked.rule.text, quote=True)}">{escape(_words(asked))}</div>'
                f"{inside}</li>"
            )
        return f'<ol style="margin: 0 0 0 1em">{"".join(rows)}</ol>'


def _words(asked: Asked) -> str:
    count = ""
    if asked.hits:
        count = f"  (+{asked.hits} packet{'s' if asked.hits > 1 else ''})"
    return f"{describe(asked.rule)}{count}"
