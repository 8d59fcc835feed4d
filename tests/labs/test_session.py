"""A learner's way through a lab, on real hosts."""

import pytest

import sandbox
from sandbox import record
from sandbox.labs import names
from sandbox.labs.checking import run_commands
from sandbox.steps import Quiet

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
LAB = names()[0]


@pytest.fixture
def session(sandbox_up):
    return sandbox.lab(LAB, "ada")


def test_a_lab_is_started_done_checked_and_started_over(session):
    session.start(steps=Quiet())
    with pytest.raises(sandbox.SandboxError, match=f"in the middle of the lab {LAB}"):
        sandbox.up(2, fresh=True)
    with pytest.raises(sandbox.SandboxError, match=f"in the middle of the lab {LAB}"):
        sandbox.lab(names()[1], "ada").start(steps=Quiet())
    assert session.check().earned == 0
    views = session.topology().data()["views"].values()
    assert all("wrong" in [it.get("change") for it in view["nodes"]] for view in views)
    session.hint(1)
    session.hint(1)
    run_commands(sandbox.find(), session.lab.hidden().solution, "The solution")
    # As after a kernel's restart.
    again = sandbox.lab(LAB)
    report = again.check()
    assert report.complete, str(report)
    cost = report.tasks[0].cost
    assert (cost > 0, report.earned) == (True, session.lab.points - cost)
    assert report.seconds < 300
    again.reset(steps=Quiet())
    assert again.check().earned == 0
    kept = record.read().lab(LAB)
    assert (kept.best, kept.hints) == (session.lab.points - cost, {})
    assert kept.done


def test_hosts_that_were_put_back_are_not_taken_for_the_lab(session):
    session.start(steps=Quiet())
    for act in (sandbox.reset, sandbox.down):
        with pytest.raises(sandbox.SandboxError, match=f"in the middle of the lab {LAB}"):
            act()
    sandbox.reset(leave_lab=True)
    with pytest.raises(sandbox.SandboxError, match="is not set up on these hosts"):
        session.check()
