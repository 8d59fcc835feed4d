"""What was measured is shown as a table, as text and as a picture."""

import pytest

from sandbox import SandboxError
from sandbox.lessons import compare_drivers
from sandbox.lessons.drivers import Comparison, Measured
from sandbox.views.table import table

FOUND = Comparison(
    (
        Measured("bridge", {"MTU": "1500"}, {"near": 0.5, "far": 1.5}, {"near": 900}, ("a$ ls",)),
        Measured("none", {"MTU": "none"}, {}, {}, ()),
    )
)


def test_the_table_has_a_column_for_each_driver():
    assert str(FOUND) == ("|  | bridge | none |\n| --- | --- | --- |\n| MTU | 1500 | none |")


def test_what_would_end_a_cell_of_the_table_does_not():
    assert table({"a|b": {"command": "docker ps |\n  head"}}) == (
        "|  | a\\|b |\n| --- | --- |\n| command | docker ps \\| head |"
    )


def test_the_chart_says_its_numbers_and_draws_them():
    shown = FOUND.chart()._repr_mimebundle_()
    assert shown["text/plain"].splitlines()[:3] == [
        "round trip:",
        "  bridge: near 0.5 ms, far 1.5 ms",
        "  none: no connection",
    ]
    assert shown["image/png"].startswith(b"\x89PNG")


def test_the_commands_of_a_driver_are_told():
    assert FOUND.commands("bridge") == "a$ ls"
    with pytest.raises(SandboxError, match="'vxlan' was not measured"):
        FOUND.commands("vxlan")


def test_a_driver_that_is_not_compared_is_one_message():
    with pytest.raises(SandboxError, match="'vxlan' is not compared"):
        compare_drivers(["vxlan"])
