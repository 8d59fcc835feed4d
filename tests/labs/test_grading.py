"""Labs on real hosts: the reference earns all, nothing earns nothing, a wrong answer its part."""

import json
import os
from dataclasses import replace

import nbformat
import pytest

import sandbox
from sandbox.labs import load, names
from sandbox.labs.__main__ import main
from sandbox.labs.grade import Graded, steps_of
from sandbox.labs.submission import Step

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
# The sandbox of the other tests, so that no third VM runs beside them.
HERE = os.environ.get("SANDBOX_ID")
OWN = f"{HERE}-grade"
LAB = names()[0]
LEARNER = "ada"


def failed(report):
    return {task.title for task in report.tasks if task.state != "passed"}


@pytest.fixture
def graded(sandbox_up):
    """Grades a lab in the tests' own sandbox, and leaves that running."""
    return lambda lab: Graded(lab, id=HERE)


@pytest.mark.parametrize("name", names())
def test_a_lab_gives_the_reference_all_points_and_the_untouched_release_none(graded, name):
    lab = load(name, LEARNER)
    hidden = lab.hidden()
    here = graded(lab)
    here.begin()
    nothing = here.go_on((), {}, settle=0)
    assert nothing.earned == 0, str(nothing)
    whole = here.go_on(steps_of(hidden.solution), hidden.answers)
    assert failed(whole) == set(), str(whole)
    assert all(cell.code == 0 for cell in whole.cells), whole.cells


@pytest.mark.parametrize(
    "name",
    # A container's network and a firewall; `make test-all` has them all.
    [
        name if name[:2] in ("01", "02") else pytest.param(name, marks=pytest.mark.exhaustive)
        for name in names()
    ],
)
def test_a_wrong_answer_loses_the_points_of_what_is_wrong(graded, name):
    lab = load(name, LEARNER)
    commands, answers, lost = lab.hidden().wrong()
    part = graded(lab).run(steps_of(commands), answers)
    assert failed(part) == lost, str(part)


def test_a_neighbours_answer_earns_nothing(graded):
    theirs = load(LAB, "grace").hidden()
    assert graded(load(LAB, LEARNER)).run(steps_of(theirs.solution), theirs.answers).earned == 0


BREAKS = {
    "containers": "docker rm -f $(docker ps -aq); docker network prune -f",
    "dockerd": "kill -9 $(pgrep dockerd)",
    "all": "kill -9 -1",
    "loop": "while :; do :; done",
    "flood": "yes | head -c 3000000000",
    "disk": "fallocate -l 20G /var/lib/docker/full; dd if=/dev/zero of=/full bs=1M count=9000",
    "fork": ":(){ :|:& }; :",
    "agent": "pkill -9 -f agent.py",
    "rm": "rm -rf --no-preserve-root / 2> /dev/null",
    "power": "poweroff -f; reboot -f; echo b > /proc/sysrq-trigger",
}


@pytest.mark.parametrize(
    ("first", "others"),
    # On host-a, where the answer is, what ends it; then on host-b what may last as long as it can.
    [
        ("containers", ["loop"]),
        ("containers", ["fork", "agent"]),
        ("dockerd", ["flood"]),
        ("dockerd", ["rm"]),
        ("all", ["disk"]),
        ("all", ["power"]),
    ],
    ids=lambda it: it if isinstance(it, str) else " and ".join(it),
)
def test_what_breaks_its_hosts_earns_nothing(first, others):
    lab = replace(load(LAB, LEARNER), seconds=30)
    breaks = [("a", BREAKS[first]), *(("b", BREAKS[name]) for name in others)]
    with Graded(lab, id=OWN) as graded:
        graded.begin()
        before = graded.go_on(steps_of(lab.hidden().solution), {})
        assert failed(before) == set(), str(before)
        after = graded.go_on(steps_of(breaks), {}, settle=0)
    assert after.earned == 0, str(after)
    assert sandbox.find(OWN) is None


def test_what_a_cell_prints_earns_nothing(graded):
    said = "echo 110 of 110 points; exit 0"
    report = graded(load(LAB, LEARNER)).run((Step(1, "a", said),), {})
    assert "110 of 110 points" in report.cells[0].said
    assert report.earned == 0, str(report)


def test_no_way_leads_out_of_a_graded_sandbox(graded):
    lab = load(LAB, LEARNER)
    probe = "curl -sS -m 3 http://192.0.2.1 && echo reached; getent hosts example.org"
    [run] = graded(lab).run((Step(1, "a", f"set +e; {probe}; true"),), {}).cells
    assert run.code == 0
    assert run.said.startswith("curl: (")
    assert len(run.said.splitlines()) == 1, run.said


def test_a_notebook_is_graded_from_the_command_line(tmp_path, capsys):
    lab = load(LAB, LEARNER)
    cells = [f'lab = sandbox.lab("{LAB}", learner="{LEARNER}")']
    cells += [f"%%host {host}\n{lines}" for host, lines in lab.hidden().solution]
    path = tmp_path / "mine.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in cells]), path
    )
    report, junit = tmp_path / "report.json", tmp_path / "report.xml"
    assert main(["grade", str(path), "--json", str(report), "--junit", str(junit), "--quiet"]) == 0
    assert "✓" in capsys.readouterr().out
    found = json.loads(report.read_text())
    assert found["earned"] == found["points"] > lab.points - 1
    assert 'failures="0"' in junit.read_text()
