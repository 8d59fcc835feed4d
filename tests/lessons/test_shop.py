"""Each fault of the shop makes the calls fail that it should, and the decision tree finds it."""

import pytest

from sandbox.lessons import break_shop, calls, decision_tree, shop
from sandbox.lessons.shop import FAULTS, STEPS
from tests.hosts import ok, wrong_steps

pytestmark = [pytest.mark.engine, pytest.mark.exhaustive]


def test_the_tree_finds_each_fault_and_its_repair_leaves_a_whole_shop(sandbox_up):
    branches = decision_tree().branches
    shop()
    for fault in FAULTS:
        break_shop(fault.name)
        made = calls()
        assert made.failed == fault.fails, f"{fault.name}\n{made}"
        assert wrong_steps(branches[made.failed]) == [fault.step]
        # A repair that leaves something makes the next fault's calls fail otherwise.
        for command in fault.repair:
            ok(sandbox_up.host(fault.host), command)
    assert calls().failed == set()
    assert wrong_steps(STEPS) == []
