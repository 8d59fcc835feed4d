"""The reference solution and a plausible wrong one."""

import importlib.util
from pathlib import Path

# The lab's own table of faults; labs are no package.
_spec = importlib.util.spec_from_file_location("break_fix", Path(__file__).parent / "lab.py")
lab = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lab)


def solution(it) -> list[tuple[str, str]]:
    host, _, repair = lab.breaks(it)
    return [(host, repair)]


def answers(it) -> dict[str, str]:
    return {lab.QUESTION: it.fault}


def wrong(it):
    """The cause is guessed, and the repair leaves a rule behind that was tried."""
    guess = next(word for word in lab.CAUSES if word != it.fault)
    commands = [*solution(it), ("a", f"ip route add 192.0.2.0/24 via {it.wire[12]}")]
    return (
        commands,
        {lab.QUESTION: guess},
        {"Name what is broken", "Leave everything else as it was"},
    )
