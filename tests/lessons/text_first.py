"""A plugin of nbval: where a cell's outputs differ, it shows their text, line by line.

By itself nbval shows the first kind of output that differs, which of a picture is its script.
"""

import difflib

from nbval.plugin import IPyNbCell

LONGEST = 160  # characters of a line that is shown
MOST = 60  # lines


def lines(text):
    """Its lines, long ones in pieces: a picture's script is one line."""
    for line in str(text).splitlines():
        yield from (line[at : at + LONGEST] for at in range(0, len(line) or 1, LONGEST))


def shown(kind, stored, now):
    """The lines in which two outputs differ, with what surrounds them."""
    found = list(
        difflib.unified_diff(list(lines(stored)), list(lines(now)), "stored", "now", lineterm="")
    )
    more = [f"… {len(found) - MOST} more lines"] if len(found) > MOST else []
    return [f"{kind} differs:", *found[:MOST], *more]


def text_of(outputs):
    """All text of a cell's outputs, as a reader sees it."""
    parts = (
        it.get("text") or it.get("data", {}).get("text/plain") or "\n".join(it.get("traceback", ()))
        for it in outputs
    )
    return "\n".join(part.rstrip("\n") for part in parts if part)


_compare = IPyNbCell.compare_outputs


def compare(self, test, ref, skip_compare=None):
    if _compare(self, test, ref, skip_compare):
        return True
    stored, now = (self.sanitize(text_of(it)) for it in (ref, test))
    if stored != now:
        self.comparison_traceback = shown("The text", stored, now)
    return False


def pytest_configure():
    IPyNbCell.compare_outputs = compare
    IPyNbCell.format_output_compare = lambda self, kind, stored, now: (
        self.comparison_traceback.extend(shown(kind, stored, now))
    )
