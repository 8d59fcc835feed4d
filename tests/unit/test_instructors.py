"""The instructors' guide: its agendas add up, and name what the course has."""

import re
from pathlib import Path

from sandbox.room.wall import items

TEXT = (Path(__file__).parents[2] / "lessons/for-instructors.md").read_text()
AGENDAS = re.findall(r"^### (.+)\n\n((?:\|.*\n)+)", TEXT, re.MULTILINE)


def test_each_agenda_adds_up():
    assert len(AGENDAS) == 4
    for title, table in AGENDAS:
        minutes = [int(it) for it in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
        [total] = re.findall(r"^\| \*\*(\d+)\*\*", table, re.MULTILINE)
        assert sum(minutes) == int(total), title


def test_an_agenda_gives_each_lesson_and_lab_the_time_that_it_takes():
    takes = {item.name: item.minutes for item in items()}
    named = re.findall(r"^\| (\d+) \| \[([\w-]+)\]\((\S+)\)", TEXT, re.MULTILINE)
    assert len(named) > 20
    for minutes, name, path in named:
        assert int(minutes) == takes[name], name
        assert path.endswith(f"{name}.ipynb")
