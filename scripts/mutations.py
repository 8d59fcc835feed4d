"""Break the course's code in known ways, one at a time, and see that its tests notice each.

python scripts/mutations.py [--engine] [NAME...]

Without --engine, those that a unit test notices within seconds; with it, all. Each is made in a
copy of what is committed. The tests that are to notice it have to pass without it and fail with it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 1800


@dataclass(frozen=True)
class Mutation:
    """A change of one place in the code.

    file: below the course's folder.  was, becomes: the text of that place, and what is there then.
    tests: what pytest is given to run.  engine: whether these need hosts.
    """

    name: str
    file: str
    was: str
    becomes: str
    tests: str
    engine: bool = False


def lesson(name: str) -> str:
    """The test that runs that lesson."""
    return f"tests/lessons/test_lessons.py::test_a_lesson_prints_what_is_stored[{name}]"


CHECKS = "tests/labs/test_checks.py"
JOURNEY = "tests/integration/test_journey.py"
MUTATIONS = (
    Mutation(
        "a negation in a rule is lost", "sandbox/model/firewall/words.py",
        'f"not {text}" if negated else text', "text",
        "tests/unit/test_model.py tests/unit/test_difference.py",
    ),
    Mutation(
        "the parser drops rules without a counter", "sandbox/model/firewall/hooks.py",
        "        if rule.family == family:\n",
        "        if rule.family == family and packets is not None:\n",
        "tests/unit/test_ruleset.py",
    ),
    Mutation(
        "hops of one time are in the wrong order", "sandbox/model/follow/sights.py",
        "steps if inward else -steps", "-steps if inward else steps",
        "tests/unit/test_journey.py",
    ),
    Mutation(
        "a counter that others may have moved is taken for a drop", "sandbox/model/follow/drops.py",
        "if any(name in it for name in CERTAIN):", "if it:",
        "tests/unit/test_ending.py",
    ),
    Mutation(
        "an interface loses its peer", "sandbox/model/read.py",
        'peer=other if link.kind == "veth" else None', "peer=None",
        "tests/unit/test_model.py",
    ),
    Mutation(
        "published ports are in the order of the Engine's answer", "sandbox/model/read.py",
        "return tuple(sorted(found, key=lambda it: (it.container_port, it.protocol, "
        "it.host_address)))",
        "return tuple(found)",
        "tests/unit/test_model.py",
    ),
    Mutation(
        "of all that changed on a host one thing is told", "sandbox/model/difference.py",
        "found.sort(key=lambda change: GROUPS.index(change[0]))", "found = found[:1]",
        "tests/unit/test_difference.py",
    ),
    Mutation(
        "a cell that should have failed passes", "sandbox/hosts/cell.py",
        "        if not failure:\n", "        if False:\n",
        "tests/integration/test_sandbox.py -k an_expected_failure", engine=True,
    ),
    Mutation(
        "every port is a port", "sandbox/hosts/actions/containers.py",
        'int(number) > 65535 for number', "int(number) > 99999 for number",
        "tests/unit/test_actions.py tests/unit/test_panel.py",
    ),
    Mutation(
        "an archive's digest is not compared", "sandbox/engine/archive.py",
        "    if not whole:\n", "    if False:\n",
        "tests/unit/test_archive.py",
    ),
    Mutation(
        "a snapshot of other hosts is taken for theirs", "sandbox/engine/snapshot.py",
        "        SITE,\n        recipe.key,\n", "        SITE,\n",
        "tests/unit/test_keys.py",
    ),
    Mutation(
        "a script can be closed by what is in it", "sandbox/views/topology.py",
        'for character in "<>&\\u2028\\u2029":', 'for character in "&\\u2028\\u2029":',
        "tests/unit/test_topology.py",
    ),
    Mutation(
        "a worse attempt replaces the best", "sandbox/record.py",
        "best=max(mine.best, theirs.best)", "best=theirs.best",
        "tests/unit/test_progress.py tests/unit/test_record.py",
    ),
    Mutation(
        "a condition that could not look has passed", "sandbox/labs/checks.py",
        "        state, seen = UNKNOWN, str(unclear)", "        state, seen = PASSED, str(unclear)",
        f"{CHECKS} -k cannot_tell", engine=True,
    ),
    Mutation(
        "what is isolated is not asked whether it answers", "sandbox/labs/checks.py",
        "if not _attempt(scene, to, scene.address(to), tcp=tcp).arrived:", "if False:",
        f"{CHECKS} -k cannot_tell", engine=True,
    ),
    Mutation(
        "any change to the hosts is allowed", "sandbox/labs/checks.py",
        "if not any(re.search(word, it.text) for word in but)]", "if False]",
        f"{CHECKS} -k allowed", engine=True,
    ),
    Mutation(
        "whoever answers, it is the right one", "sandbox/labs/checks.py",
        "return answer.arrived and answer.said.startswith(hello), str(answer)",
        "return answer.arrived, str(answer)",
        f"{CHECKS} -k it_fails_and_says", engine=True,
    ),
    Mutation(
        "an answer is taken for the probe", "sandbox/model/follow/flows.py",
        'return "answer" if legs == {"answer"} else "probe"', 'return "probe"',
        f"{JOURNEY} -k tcpdump_sees", engine=True,
    ),
    Mutation(
        "a bridge by hand has no way out in the comparison", "sandbox/model/bridged.py",
        'r.target in ("MASQUERADE", "SNAT") and of(r)', 'r.target == "SNAT" and of(r)',
        lesson("10-namespaces"), engine=True,
    ),
    Mutation(
        "remote calls web from the wrong host", "sandbox/lessons/drivers.py",
        '("b", execute("remote", _curl("web", *own))),',
        '("a", execute("client", _curl("web", *own))),',
        lesson("08-choosing"), engine=True,
    ),
    Mutation(
        "a repair leaves its rule", "sandbox/lessons/shop.py",
        '("iptables -D DOCKER-USER -i eth0 -p tcp --dport 80 -j DROP",)', '("true",)',
        "tests/lessons/test_shop.py --exhaustive", engine=True,
    ),
    Mutation(
        "a virtual machine's network is not known as user-mode NAT", "sandbox/model/read.py",
        'value.startswith("user")', 'value.startswith("none")',
        lesson("13-virtual-machines"), engine=True,
    ),
    Mutation(
        "memory is not watched while a host is filled", "sandbox/lessons/density.py",
        "        if free < SPARE_MIB:\n", "        if False:\n",
        lesson("14-strengths-and-limits"), engine=True,
    ),
    Mutation(
        "a boot that panics is not tried again", "sandbox/engine/snapshot.py",
        "            if not others:\n", "            if True:\n",
        "tests/integration/test_build.py -k panics", engine=True,
    ),
    Mutation(
        "hidden tasks are not graded", "sandbox/labs/grade.py",
        "(hidden.tasks if hidden else ())", "()",
        "tests/labs/test_batch.py -k gone_on_with", engine=True,
    ),
)  # fmt: skip


def pytest(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """What pytest says of the tests in that copy of the course."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()],
        cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


def noticed(mutation: Mutation, folder: Path) -> str:
    """What is wrong with a mutation or its tests; "" if they notice it.

    folder: a copy of the course.
    """
    path = folder / mutation.file
    code = path.read_text()
    if code.count(mutation.was) != 1:
        return f"{mutation.file} has its text {code.count(mutation.was)} times"
    whole = pytest(folder, mutation.tests)
    if whole.returncode:
        return f"the tests fail without it:\n{whole.stdout[-3000:]}{whole.stderr[-1000:]}"
    path.write_text(code.replace(mutation.was, mutation.becomes))
    broken = pytest(folder, mutation.tests)
    path.write_text(code)
    # 1: tests were run, and some failed.
    return "" if broken.returncode == 1 else f"nothing notices it: {broken.stdout[-500:]}"


def main() -> int:
    """Make each; 0 if all are noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", action="store_true", help="those that need hosts, too")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if unknown := {*options.names} - {it.name for it in MUTATIONS}:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [
        it for it in MUTATIONS
        if (it.name in options.names if options.names else options.engine or not it.engine)
    ]  # fmt: skip
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "course")
        subprocess.run(["git", "clone", "--quiet", ROOT, copy], check=True)
        for mutation in chosen:
            problem = noticed(mutation, copy)
            missed += bool(problem)
            print(f"{'missed ' if problem else 'noticed'}  {mutation.name}", flush=True)
            if problem:
                print(problem, flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} are noticed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
