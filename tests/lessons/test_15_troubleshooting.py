"""Each fault of the shop makes the calls fail that it should, and the decision tree finds it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import sandbox
from sandbox.errors import SandboxError
from sandbox.faults import FAULTS, STEPS, look
from tests.hosts import ok

pytestmark = pytest.mark.engine


def wrong_steps(box, steps=STEPS):
    with ThreadPoolExecutor() as pool:
        looked = pool.map(lambda step: look(box, step), steps)
    return [step.title for step, (_, right) in zip(steps, looked, strict=True) if not right]


def test_the_decision_tree_finds_each_fault_and_its_repair_leaves_a_whole_shop(sandbox_up):
    sandbox.shop()
    branches = sandbox.decision_tree().branches
    assert sandbox.calls().failed == set()
    assert wrong_steps(sandbox_up) == []
    for fault in FAULTS:
        sandbox.break_shop(fault.name)
        made = sandbox.calls()
        assert made.failed == fault.fails, f"{fault.name}\n{made}"
        assert wrong_steps(sandbox_up, branches[made.failed]) == [fault.step]
        # A repair that leaves something makes the next fault's calls fail otherwise.
        for command in fault.repair:
            ok(sandbox_up.host(fault.host), command)
    assert sandbox.calls().failed == set()
    assert wrong_steps(sandbox_up) == []


def test_calls_to_no_shop_are_not_made(fresh):
    with pytest.raises(SandboxError, match="No shop is open"):
        sandbox.calls()
    with pytest.raises(SandboxError, match="No shop is open"):
        sandbox.break_shop("overlap")


def test_the_small_path_is_none_to_the_host_nor_to_a_network_with_an_mtu_that_fits(sandbox_up):
    sandbox.shop()
    a, b = sandbox_up.host("a"), sandbox_up.host("b")
    sandbox.break_shop("large answers")
    ok(a, "docker network create -o com.docker.network.driver.mtu=1400 small")
    for name, options in (
        ("own", "--network host toolbox serve 8081"),
        ("cured", "--network small -p 8082:80 toolbox"),
    ):
        ok(a, f"docker run -d --name {name} {options}")
        ok(a, f"docker exec {name} sh -c 'head -c 200000 /dev/zero > /srv/big'")
    fetch = "curl -sS -m {} -o /dev/null http://198.18.0.11:{}/big"
    ok(b, fetch.format(10, 8081))
    ok(b, fetch.format(10, 8082))
    assert b.run(fetch.format(4, 8080)).code == 28
