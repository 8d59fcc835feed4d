"""Lesson 15: its two faults make the calls fail that they should, and the tree finds each.

The others are in tests/lessons/test_shop.py.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from between_cells import after

import sandbox
from sandbox.errors import SandboxError
from sandbox.lessons.shop import CALLS, FAULTS
from tests.hosts import ok, wrong_steps

# The cell before the last, which puts the hosts back as new.
QUIZ = "quizzes/15-troubleshooting.toml"
BY_NAME = {fault.name: fault for fault in FAULTS}
BRANCHES = sandbox.lessons.decision_tree().branches
# Where the lesson itself makes two of the faults, and repairs them.
SMALL = 'break_shop("large answers")'
OVERLAP = "docker network create --subnet 198.18.0.8/29 vpn > /dev/null"
LESSON = Path(__file__).parents[3] / "lessons/15-troubleshooting.ipynb"


def cells_from(text):
    """The lesson's code cells from the one with that text on, as source and what it prints."""
    cells = json.loads(LESSON.read_text())["cells"]
    code = [
        ("".join(cell["source"]), json.dumps(cell["outputs"], ensure_ascii=False))
        for cell in cells
        if cell["cell_type"] == "code"
    ]
    [start] = [at for at, (source, _) in enumerate(code) if text in source]
    return code[start:]


def found_in_the_lesson(fault, cells):
    """Whether the cells make the calls fail that it should and repair it, and the tree finds it."""
    printed = next(output for source, output in cells if "calls()" in source)
    assert {call.title for call in CALLS if f"✗ {call.title}" in printed} == fault.fails
    repairs = [command for source, _ in cells for command in source.splitlines()]
    assert set(fault.repair) <= set(repairs)
    assert wrong_steps(BRANCHES[fault.fails]) == [fault.step]


@after(SMALL)
def the_decision_tree_finds_the_path_of_smaller_packets(a, b):
    found_in_the_lesson(BY_NAME["large answers"], cells_from(SMALL))


@after(OVERLAP)
def the_decision_tree_finds_the_subnet_that_is_taken(a, b):
    assert BY_NAME["overlap"].breaks == (OVERLAP.removesuffix(" > /dev/null"),)
    found_in_the_lesson(BY_NAME["overlap"], cells_from(OVERLAP))


@after(QUIZ)
def the_small_path_is_none_to_the_host_nor_to_a_network_with_an_mtu_that_fits(a, b):
    sandbox.lessons.break_shop("large answers")
    ok(a, "docker network create -o com.docker.network.driver.mtu=1400 small")
    for name, options in (
        ("own", "--network host toolbox serve 8081"),
        ("cured", "--network small -p 8082:80 toolbox"),
    ):
        ok(a, f"docker run -d --name {name} {options}")
        ok(a, f"docker exec {name} sh -c 'head -c 200000 /dev/zero > /srv/big'")
    fetch = "curl -sS -m {} -o /dev/null http://198.18.0.11:{}/big"
    with ThreadPoolExecutor() as pool:
        fetches = ((10, 8081), (10, 8082), (4, 8080))
        codes = pool.map(lambda it: b.run(fetch.format(*it)).code, fetches)
        assert [*codes] == [0, 0, 28]


@after(QUIZ)
def calls_to_no_shop_are_not_made(a, b):
    ok(a, "docker rm -f web client")
    with pytest.raises(SandboxError, match="No shop is open"):
        sandbox.lessons.calls()
    with pytest.raises(SandboxError, match="No shop is open"):
        sandbox.lessons.break_shop("overlap")
