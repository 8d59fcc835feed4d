"""The faults of lesson 15, the calls that fail then, and the questions that find them."""

import pytest

from sandbox.errors import SandboxError
from sandbox.hosts.host import Result
from sandbox.lessons import break_shop, decision_tree
from sandbox.lessons.shop import CALLS, FAULTS, STEPS, Calls, _words


def test_each_fault_has_a_question_of_its_own_and_each_question_a_fault():
    assert sorted(fault.step for fault in FAULTS) == sorted(step.title for step in STEPS)
    assert len({fault.cause for fault in FAULTS}) == len({f.name for f in FAULTS}) == len(FAULTS)


def test_each_fault_makes_some_call_fail_and_no_fault_all():
    titles = {call.title for call in CALLS}
    assert all(fault.fails and fault.fails < titles for fault in FAULTS)


def test_the_tree_shows_every_question_with_its_command():
    text, markdown = repr(decision_tree()), decision_tree()._repr_markdown_()
    for step in STEPS:
        assert step.command in text
        assert f"| **{step.title}** | {step.ask} |" in markdown
    rows = [line for line in markdown.splitlines() if line]
    assert all(line.startswith("| ") and line.endswith(" |") for line in rows)


def test_calls_are_listed_with_what_those_that_failed_said():
    first, second = CALLS[0].title, CALLS[1].title
    made = Calls({first: "", second: "curl: (7) <refused>"})
    assert made.failed == {second}
    [good, bad] = repr(made).splitlines()
    assert good == f"✓ {first}"
    assert bad.split() == ["✗", *second.split(), "curl:", "(7)", "<refused>"]
    assert "&lt;refused&gt;" in made._repr_html_()


@pytest.mark.parametrize(
    "result, words",
    [
        (Result(0, "hello", ""), ""),
        (
            Result(28, "", "curl: (28) Connection timed out after 4002 milliseconds\n"),
            "curl: (28) Connection timed out",
        ),
        (
            Result(
                7, "", "curl: (7) Failed to connect to 198.18.0.12 port 80 after 3 ms: Refused\n"
            ),
            "curl: (7) Failed to connect to 198.18.0.12 port 80: Refused",
        ),
        (Result(1, "", ""), "failed"),
    ],
)
def test_the_last_words_of_a_call_leave_out_how_long_it_took(result, words):
    assert _words(result) == words


def test_a_fault_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(SandboxError, match="'fire' is no fault") as caught:
        break_shop("fire")
    assert "overlap" in caught.value.fix
