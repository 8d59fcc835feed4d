"""Labs without an engine: scenarios, submissions, reports, the record, what conditions say."""

import ipaddress
import json
import os
from xml.etree import ElementTree

import nbformat
import pytest

import sandbox
from sandbox import record
from sandbox.labs import Draw, Finding, NotThere, batch, load, names
from sandbox.labs.__main__ import main
from sandbox.labs.checks import FAILED, PASSED, UNKNOWN, holds, look
from sandbox.labs.lab import Task
from sandbox.labs.report import Report, TaskResult
from sandbox.labs.session import Session, cost_of, next_cost
from sandbox.labs.submission import read
from sandbox.widgets.lab import panel_of
from tests.unit import snapshots

LABS = names()
SEEDS = range(500)
# The hosts' LAN, the pools of their Engines, and the one that Swarm takes overlays from.
TAKEN = [
    ipaddress.ip_network(it)
    for it in ("198.18.0.0/15", "172.16.0.0/12", "10.0.0.0/12", "192.168.0.0/16")
]


def drawn(facts):
    """Everything that a scenario drew, by kind."""
    values = [getattr(facts, name) for name in facts.__dataclass_fields__]
    flat = [it for value in values for it in (value if isinstance(value, tuple) else [value])]
    return (
        [it for it in flat if isinstance(it, ipaddress.IPv4Network)],
        [it for it in flat if isinstance(it, int)],
        [it for it in flat if isinstance(it, str)],
    )


@pytest.mark.parametrize("name", LABS)
def test_seeds_give_scenarios_without_a_collision(name):
    seen = set()
    for seed in SEEDS:
        lab = load(name, f"learner {seed}")
        subnets, ports, words = drawn(lab.facts)
        for number, subnet in enumerate(subnets):
            assert not any(subnet.overlaps(other) for other in subnets[number + 1 :])
            assert not any(subnet.overlaps(other) for other in TAKEN)
        assert len(set(ports)) == len(ports)
        assert len(set(words)) == len(words)
        hidden = lab.hidden()
        assert hidden and hidden.solution
        assert {*hidden.answers} == {*lab.questions}
        titles = [task.title for task in (*lab.tasks, *hidden.tasks)]
        assert len(set(titles)) == len(titles)
        assert hidden.wrong()[2] <= {*titles}, "the wrong answer fails tasks that are not there"
        seen.add(repr(lab.facts))
    assert len(seen) > 50, "a neighbour's answer would pass"


@pytest.mark.parametrize("name", LABS)
def test_a_lab_says_what_it_asks(name):
    lab = load(name, "somebody")
    assert lab.points == 100
    assert 15 <= lab.minutes <= 40
    assert 1 <= lab.hosts <= 4
    for task in lab.tasks:
        assert task.conditions
        assert len(task.hints) == 4, task.title
    told = lab.story + " ".join(task.title for task in lab.tasks)
    for word in drawn(lab.facts)[2]:
        assert word in told or word in str(lab.setup) or word in str(lab.fault), word


def test_the_same_seed_gives_the_same_draws():
    def some(seed):
        draw = Draw(seed)
        return [draw.word(), draw.subnet(), draw.port(), draw.choice("abc"), draw.host_number()]

    assert some("x") == some("x")
    assert some("x") != some("y")
    # On any machine: these were drawn once, and are compared with ever after.
    assert [str(it) for it in some("01-two-tiers/ada")] == [
        "slate",
        "10.31.169.0/24",
        "8603",
        "c",
        "93",
    ]


def test_another_learner_gets_another_scenario():
    first, second = load(LABS[0], "ada"), load(LABS[0], "grace")
    assert first.facts != second.facts
    assert load(LABS[0], "ada").facts == first.facts


def test_a_lab_that_is_not_there_is_told(tmp_path):
    with pytest.raises(sandbox.SandboxError, match="There is no lab '99-nothing'"):
        load("99-nothing")
    with pytest.raises(sandbox.SandboxError, match="is no lab's name"):
        load("../../etc")
    with pytest.raises(sandbox.SandboxError, match="No lab is named"):
        load()


def test_a_lab_that_is_not_in_order_is_told(tmp_path):
    folder = tmp_path / "01-broken"
    folder.mkdir()
    for text, why in (
        ("def scenario(draw): return 1 / 0", "ZeroDivisionError"),
        ("TITLE = 1", "no function scenario"),
        ("this is no Python", "SyntaxError"),
    ):
        (folder / "lab.py").write_text(text)
        with pytest.raises(sandbox.SandboxError, match=why) as told:
            load("01-broken", root=tmp_path)
        assert "01-broken/lab.py is not in order" in str(told.value)


# Submissions


def notebook(path, *sources, kind="code"):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_submission_is_its_host_cells_and_answers(tmp_path):
    path = notebook(
        tmp_path / "x.ipynb",
        'import sandbox\nlab = sandbox.lab("01-two-tiers", learner="ada")',
        "%%host a\ndocker ps\n",
        "%%host b --save /root/x.conf\nport 80\n",
        "%matplotlib inline\nlab.answer('Who?', 'web')",
        'lab.answer("Who?", "db"); lab.answer(name, "variables are not read")',
        "%%host a --nonsense\ntrue",
        "def broken(:",
    )
    found = read(path)
    assert (found.lab, found.learner) == ("01-two-tiers", "ada")
    assert [(it.number, it.host, it.text, it.path) for it in found.steps[:2]] == [
        (2, "a", "docker ps\n", ""),
        (3, "b", "port 80\n", "/root/x.conf"),
    ]
    assert "--nonsense" in found.steps[2].wrong
    assert found.answers == {"Who?": "db"}


def test_no_python_of_a_submission_is_run(tmp_path):
    trap = tmp_path / "trap"
    path = notebook(
        tmp_path / "x.ipynb",
        f"open({str(trap)!r}, 'w').write('run')",
        f"lab.answer('Who?', open({str(trap)!r}, 'w').write('run'))",
        f"sandbox.lab(__import__('os').system('touch {trap}'))",
    )
    found = read(path)
    assert not trap.exists()
    assert (found.lab, found.answers, found.steps) == ("", {}, ())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 1}', '{"cells": [{}]}', "\x00\xff"])
def test_what_is_no_notebook_costs_one_message(tmp_path, text, capsys):
    path = tmp_path / "x.ipynb"
    path.write_text(text)
    with pytest.raises(sandbox.SandboxError, match="is no notebook"):
        read(path)
    assert main(["grade", str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_notebook_that_is_not_there_or_too_long_is_told(tmp_path):
    with pytest.raises(sandbox.SandboxError, match="cannot be read"):
        read(tmp_path / "none.ipynb")
    with pytest.raises(sandbox.SandboxError, match="has 600 cells"):
        read(notebook(tmp_path / "long.ipynb", *["1"] * 600))


def test_a_deep_expression_is_no_trap(tmp_path):
    deep = "(" * 5000 + ")" * 5000
    assert read(notebook(tmp_path / "x.ipynb", f"lab.answer({deep})")).answers == {}


# Reports


def finding(state, seen="x"):
    return Finding(state, "it holds", seen)


def report(*tasks):
    return Report("01-two-tiers", "ada", tasks, 12.5)


def test_a_task_earns_its_points_when_all_of_it_holds():
    whole = TaskResult("one", 30, (finding(PASSED), finding(PASSED)))
    part = TaskResult("two", 50, (finding(PASSED), finding(FAILED)))
    unclear = TaskResult("three", 20, (finding(PASSED), finding(UNKNOWN)))
    found = report(whole, part, unclear)
    assert (found.earned, found.points, found.complete) == (30, 100, False)
    assert [it.state for it in found.tasks] == ["passed", "failed", "unknown"]
    assert TaskResult("four", 10, (finding(FAILED), finding(UNKNOWN))).state == "failed"


def test_a_report_is_read_by_people_and_machines():
    found = report(
        TaskResult("make <it>", 60, (finding(FAILED, "no \x1b[0m & nothing"),)),
        TaskResult("keep it", 40, (finding(PASSED),), cost=4),
    )
    assert str(found).splitlines() == [
        "01-two-tiers: 36 of 100 points",
        "✗ make <it> (0 of 60)",
        "    expected: it holds",
        "    seen: no \x1b[0m & nothing",
        "✓ keep it (36 of 40, 4 taken off for hints)",
    ]
    assert "make &lt;it&gt;" in found._repr_html_()
    given = json.loads(found.to_json())
    assert (given["earned"], given["tasks"][0]["state"]) == (36, "failed")
    suite = ElementTree.fromstring(found.to_junit())
    assert suite.attrib["failures"] == "1"
    assert suite[0][0].text == "it holds: no [0m & nothing"


# Conditions


def test_a_condition_passes_fails_or_cannot_tell():
    def absent(_scene):
        raise NotThere("there is no container web")

    def silent(_scene):
        raise sandbox.SandboxError("host-a does not answer.", why="it is gone")

    assert look(holds("w", lambda _: (True, "s")), None) == Finding(PASSED, "w", "s")
    assert look(holds("w", lambda _: (False, "s")), None).state == FAILED
    assert look(holds("w", absent), None) == Finding(FAILED, "w", "there is no container web")
    unclear = look(holds("w", silent), None)
    assert (unclear.state, unclear.seen) == (UNKNOWN, "host-a does not answer.; it is gone")


# The record


def test_hints_cost_more_the_more_they_tell():
    task = Task("one", 30, (), ("a", "b", "c", "d"))
    costs = [cost_of(task, {"one": taken}) for taken in range(5)]
    assert costs == [0, 0, 3, 9, 24]
    assert [next_cost(task, {"one": taken}) for taken in range(5)] == [0, 3, 6, 15, 0]


def test_hints_and_answers_are_kept():
    session = Session(load(LABS[0], "ada"), "none")
    first = session.hint(1)
    assert session.hint(1) != first
    assert [session.hint(1) for _ in range(4)][-1] == session.lab.tasks[0].hints[3]
    again = Session(load(LABS[0], "ada"), "none")
    assert record.read().lab(LABS[0]).hints == {session.lab.tasks[0].title: 4}
    with pytest.raises(sandbox.SandboxError, match="There is no task 9"):
        again.hint(9)
    with pytest.raises(sandbox.SandboxError, match="does not ask"):
        again.answer("What?", "x")


def test_a_lab_that_was_not_started_is_not_checked(cache):
    with pytest.raises(sandbox.SandboxError, match="is not set up") as told:
        Session(load(LABS[0], "ada"), "none").check()
    assert "lab.start()" in str(told.value)


def test_the_learner_is_kept_and_drawn_once():
    drawn_once = record.learner()
    assert drawn_once
    assert record.learner() == drawn_once
    assert record.learner("ada") == "ada"
    assert record.learner() == "ada"


def test_a_record_that_is_not_ours_is_left_alone():
    record.path().write_text("{")
    with pytest.raises(sandbox.SandboxError, match="cannot be read"):
        record.learner("ada")
    record.path().write_text('{"version": 99}')
    with pytest.raises(sandbox.SandboxError, match="of this version"):
        record.read()
    assert record.path().read_text() == '{"version": 99}'


def test_the_labs_are_listed(capsys):
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == LABS


# A class


def submitted(folder, student, *sources, lab=LABS[0]):
    path = folder / student / lab / f"{lab}.ipynb"
    path.parent.mkdir(parents=True)
    return notebook(path, *sources)


def test_a_class_is_what_nbgrader_collects(tmp_path):
    submitted(tmp_path, "ada", "1")
    submitted(tmp_path, "grace", "1")
    other = tmp_path / "ada" / "essay" / "essay.ipynb"
    other.parent.mkdir()
    notebook(other, "1")
    found = batch.entries(tmp_path)
    assert [(it.student, it.lab) for it in found] == [("ada", LABS[0]), ("grace", LABS[0])]
    assert found[0].key != found[1].key, "the same cells are another answer for another learner"
    assert batch.entries(tmp_path, "99-none") == []


def test_a_grade_is_kept_until_the_submission_changes(tmp_path):
    path = submitted(tmp_path / "in", "ada", "1")
    [entry] = batch.entries(tmp_path / "in")
    assert batch.kept(entry, tmp_path) is None
    folder = entry.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"earned": 7, "key": entry.key}))
    assert batch.kept(entry, tmp_path)["earned"] == 7
    notebook(path, "2")
    [changed] = batch.entries(tmp_path / "in")
    assert batch.kept(changed, tmp_path) is None
    (folder / "report.json").write_text("{")
    assert batch.kept(entry, tmp_path) is None


def test_a_folder_without_submissions_is_told(tmp_path, capsys):
    assert main(["grade-all", str(tmp_path / "none")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert main(["grade-all", str(tmp_path)]) == 2
    assert "has no submission of a lab" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["grade-all", str(tmp_path), "-j", "0"])
    assert "'0' is no number from 1" in capsys.readouterr().err


def test_as_many_are_graded_at_once_as_memory_allows(monkeypatch):
    assert batch.workers() >= 1
    monkeypatch.setattr(batch, "WORKER_MEMORY", 2**50)
    assert batch.workers() == 1
    monkeypatch.setattr(batch, "WORKER_MEMORY", 1)
    assert batch.workers() == os.cpu_count()


def test_what_grades_runs_no_lab_that_came_with_a_submission(tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    (tmp_path / LABS[0]).mkdir()
    (tmp_path / LABS[0] / "lab.py").write_text(f"open({str(trap)!r}, 'w')")
    submitted(tmp_path / "in", "ada", "1")
    monkeypatch.chdir(tmp_path)
    assert len(batch.entries(tmp_path / "in")) == 1
    assert not trap.exists()


def test_a_report_that_cannot_be_written_is_told_before_anything_is_graded(tmp_path, capsys):
    path = notebook(tmp_path / f"{LABS[0]}.ipynb", "1")
    assert main(["grade", str(path), "--json", str(tmp_path / "none" / "report.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    submitted(tmp_path / "in", "ada", "1")
    assert main(["grade-all", str(tmp_path / "in"), "--out", str(tmp_path / "file")]) == 2
    assert "file: File exists." in capsys.readouterr().err


@pytest.mark.parametrize("name", [5, "", None])
def test_a_name_that_is_none_is_told(name):
    with pytest.raises(sandbox.SandboxError):
        sandbox.lab(name)
    with pytest.raises(sandbox.SandboxError, match="is not a learner's name"):
        sandbox.lab(LABS[0], 5)


def test_what_cannot_be_kept_is_told(monkeypatch):
    record.path().with_suffix(".new").mkdir()
    with pytest.raises(sandbox.SandboxError, match="cannot be kept"):
        record.learner("ada")


def test_an_answer_of_a_cell_stands_until_another_is_written_on_the_page(cache):
    session = Session(load("11-read-a-capture", "ada"), "none")
    panel = panel_of(session)
    question, other = session.lab.questions[:2]
    session.answer(question, "from a cell")
    panel._on_hint(1)
    with pytest.raises(sandbox.SandboxError):
        panel._on_check()
    assert record.read().lab(session.lab.name).answers == {question: "from a cell"}
    panel._answers[1].value = "written"
    assert record.read().lab(session.lab.name).answers[other] == "written"


def test_what_a_check_found_wrong_is_marked_where_it_is():
    def finding(state, *places):
        return Finding(state, "wanted", "seen", places)

    findings = (
        finding(FAILED, "client", "host-a/web"),
        finding(FAILED, "host-a", "198.18.0.12"),
        finding(UNKNOWN, "web", "web"),
        finding(FAILED),
        finding(FAILED, "nobody"),
        finding(PASSED, "client"),
    )
    session = Session(load(LABS[0], "ada"), "none")
    assert session.marks(snapshots.lesson()) == []
    session._report = Report(LABS[0], "ada", (TaskResult("one", 10, findings),), 1.0)
    assert [(it.nodes, it.text) for it in session.marks(snapshots.lesson())] == [
        (("host-a/client", "host-a/web"), "wanted: seen"),
        (("host-a",), "wanted: seen"),
        (("host-a/web",), "wanted: seen"),
    ]


def test_a_sandbox_has_one_panel_of_a_lab():
    session = Session(load(LABS[0], "ada"), "none")
    first = panel_of(session)
    assert panel_of(session) is not first
    with pytest.raises(RuntimeError, match="after shutdown"):
        first._pool.submit(print)
