"""`make test-all` runs everything in parts, and goes on where it stopped."""

import json
from types import SimpleNamespace

from scripts import test_all
from tests.conftest import Record


def test_parts_are_filled_to_their_time_and_a_file_stays_whole():
    ids = ["a.py::one", "b.py::one", "b.py::two", "l.py::t[long]", "l.py::t[short]", "c.py::one"]
    known = {"a.py": 30, "b.py": 20, "l.py::t[long]": 500, "l.py::t[short]": 5}
    assert test_all.parts(ids, 60, known) == [
        ["a.py::one", "b.py::one", "b.py::two"],
        ["l.py::t[long]"],
        ["l.py::t[short]", "c.py::one"],
    ]
    assert test_all.parts([], 60, known) == []


def test_what_has_ended_is_written_down_and_what_passed_is_told_from_the_rest(tmp_path):
    record = Record(tmp_path / "record")
    for name, when, outcome in (
        ("t.py::green", "setup", "passed"),
        ("t.py::green", "call", "passed"),
        ("t.py::green", "teardown", "passed"),
        ("t.py::red [x y]", "setup", "passed"),
        ("t.py::red [x y]", "call", "failed"),
        ("t.py::red [x y]", "teardown", "passed"),
        ("t.py::cut off", "setup", "passed"),
    ):
        record.pytest_runtest_logreport(
            SimpleNamespace(
                nodeid=name, when=when, outcome=outcome, passed=outcome == "passed", duration=1.0
            )
        )
    assert test_all.outcomes(tmp_path / "record") == {
        "t.py::green": "passed",
        "t.py::red [x y]": "failed",
    }
    assert test_all.outcomes(tmp_path / "none") == {}


def test_times_are_of_tests_that_there_are():
    for scope in json.loads(test_all.SECONDS.read_text()):
        file, _, name = scope.partition("::")
        path = test_all.ROOT / file
        assert path.exists(), scope
        assert f"def {name.partition('[')[0]}" in path.read_text(), scope


def test_its_collection_has_what_make_test_leaves_out():
    left_out = "test_the_tests_of_a_file_go_to_one_worker"
    ids = test_all.collected(["tests/unit/test_project.py"])
    assert any(left_out in name for name in ids)
