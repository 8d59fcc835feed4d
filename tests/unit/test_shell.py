"""What a failed shell cell says: bash here is the one that runs a host's cells."""

import subprocess
import time

import pytest

from sandbox.hosts import shell


def run(cell):
    """The cell's output, and its failure or None."""
    ended = subprocess.run(shell.argv(cell), capture_output=True, timeout=30, check=False)
    code = ended.returncode if ended.returncode >= 0 else 128 - ended.returncode
    failed = shell.failure(cell, code, ended.stderr, ended.stdout[-shell.TAIL :])
    return ended.stdout.decode(), failed


NONE = "ls: cannot access '/none': No such file or directory"
# The cell, the command that failed, its status, and why.
FAILS = [
    ('echo "$(grep nothing /etc/hosts; echo none)"\nls /none', "ls /none", 2, NONE),
    ("echo $(ls /absent)\nls /none | cat", "ls /none", 2, NONE),
    ("x=$(grep nothing /etc/hosts)", "x=$(grep nothing /etc/hosts)", 1, ""),
    ("( ls /none; echo no )", "ls /none", 2, NONE),
    ("(exit 3) | cat", "(exit 3)", 3, ""),
    ("ls /none | cat", "ls /none", 2, NONE),
    ("ls /none |& cat", "ls /none", 2, NONE),
    ("ls /none |\n  sort |\n  cat", "ls /none", 2, NONE),
    ("ls /none | while read x; do :; done", "ls /none", 2, NONE),
    ("while true; do ls /none; done | cat", "ls /none", 2, NONE),
    ("{ true; ls /none; } | cat", "ls /none", 2, NONE),
    ("f() { ls /none; }\nf", "ls /none", 2, NONE),
    ("f() { ls /none; }\nf | cat", "ls /none", 2, NONE),
    ("ls /none | sh -c 'sleep 0.2; yes' | head -1", "ls /none", 2, NONE),
    ("yes | head -1 | grep nothing", "grep nothing", 1, ""),
    ("yes | false", "false", 1, ""),
    ("ls /none | grep x | head -1", "ls /none", 2, NONE),
    ("echo a | cat; ls /none | cat; echo b | cat", "ls /none", 2, NONE),
    ("ls /none | cat && echo hi", "ls /none", 2, NONE),
    ("false || ls /none && true", "ls /none", 2, NONE),
    ("if true; then ls /none; fi", "ls /none", 2, NONE),
    ("case x in x) ls /none;; esac", "ls /none", 2, NONE),
    ("for i in 1 2; do ls /none; done", "ls /none", 2, NONE),
    ("! true", "! true", 1, ""),
    ("[[ a = b ]]", "[[ a = b ]]", 1, ""),
    ("grep -q nothing /etc/hosts && echo found", "grep -q nothing /etc/hosts", 1, ""),
    ("cat <<X | grep no\nhello | there\nX", "grep no", 1, ""),
    ("cat <<X | sed s/a/b/ | grep no |\nhello | there\nX\n  cat", "grep no", 1, ""),
    (
        "cat > /none/x <<X\nhi\nX",
        "cat > /none/x <<X …",
        1,
        "bash: line 4: /none/x: No such file or directory",
    ),
    ("cd /none", "cd /none", 1, "bash: line 4: cd: /none: No such file or directory"),
    ("exit 3", "exit 3", 3, ""),
    ("yes | head -1; exit 141", "exit 141", 141, ""),
    ("set +e\nfalse\nls /none", "ls /none", 2, NONE),
    ("false & wait $!", "wait $!", 1, ""),
    ("set -u; echo $nope", "echo $nope", 1, "bash: line 4: nope: unbound variable"),
    ("echo ${x:?must}", "echo ${x:?must}", 1, "bash: line 4: x: must"),
    (
        "nope \"a'b|\" 'c\"d' größe",
        "nope \"a'b|\" 'c\"d' größe",
        127,
        "bash: line 4: nope: command not found",
    ),
    ("echo hi | nope 'two\nlines'", "nope 'two …", 127, "bash: line 5: nope: command not found"),
    ("ls \\\n  /none", "ls /none", 2, NONE),
    ("# it's | a\necho a # b | c\nls /none | cat # x", "ls /none", 2, NONE),
    ("sh -c 'exit 5'", "sh -c 'exit 5'", 5, ""),
    ("kill -KILL $$", "kill -KILL $$", 137, ""),
    ("python3 - <<E\n1/0\nE", "python3 - <<E …", 1, "ZeroDivisionError: division by zero"),
    ("set +e -x\nfalse\nexit 4", "exit 4", 4, ""),
]


@pytest.mark.parametrize(("cell", "command", "status", "reason"), FAILS, ids=repr)
def test_a_failed_cell_names_the_command_its_status_and_its_reason(cell, command, status, reason):
    _, failed = run(cell)
    assert failed == shell.Failure(command, status, reason)


@pytest.mark.parametrize("cell", ["if\nfi", "echo a\nif; fi", 'echo "abc', "echo $(", "done"])
def test_a_cell_that_bash_cannot_read_says_so(cell):
    _, failed = run(cell)
    assert str(failed) == "bash cannot read this cell"
    assert "bash: -c: line " in failed.reason


PASSES = [
    ("yes | head -1", "y\n"),
    ("yes | grep -m1 y\necho here", "y\nhere\n"),
    ("yes | head -1 | cat\necho here", "y\nhere\n"),
    ("f() { yes | head -1; }\nf; echo here", "y\nhere\n"),
    ("f() { yes | head -1; }\nf | cat; f\n", "y\ny\n"),
    ("( yes | head -1 )\necho here", "y\nhere\n"),
    ("x=$(yes | head -1)\necho $x", "y\n"),
    ('echo "$(yes | head -1)"', "y\n"),
    ("for i in 1 2; do yes | head -1; done", "y\ny\n"),
    ("echo 1 | while read x; do yes | head -1; done\necho here", "y\nhere\n"),
    ("while true; do ls -d /; done | head -1\necho here", "/\nhere\n"),
    ("while true; do echo x | ls -d /; done | head -1\necho here", "/\nhere\n"),
    ("yes | head -1\nset +e\nfalse\necho here", "y\nhere\n"),
    ("set +e\nfalse\ntrue", ""),
    ("false || true\nif false; then :; fi\n! false", ""),
    ("ls /none 2> /dev/null & wait\necho here", "here\n"),
    ("trap 'echo bye' EXIT", "bye\n"),
]


@pytest.mark.parametrize(("cell", "output"), PASSES)
def test_a_reader_that_had_enough_is_no_failure(cell, output):
    assert run(cell) == (output, None)


@pytest.mark.parametrize(
    "cell",
    [
        "yes | head -1\nfalse\necho never",
        "yes | head -1\n( false; echo never )\necho never",
        "yes | head -1\n{ false; echo never; } | cat\necho never",
        "yes | head -1\nfor i in 1 2; do false; done\necho never",
        "yes | head -1\nf() { false; echo never; }\nf",
        "yes | head -1\nx=$(exit 1)\necho never",
        "x=$(yes | head -1)\nfalse\necho never",
    ],
)
def test_the_command_after_it_still_ends_the_cell(cell):
    output, failed = run(cell)
    assert "never" not in output
    assert failed.status == 1


def test_what_bash_traces_is_the_cells_own():
    output, failed = run("set -x\nyes | head -1\necho hi\nfalse")
    assert set(output.splitlines()) == {"+ yes", "+ head -1", "y", "+ echo hi", "hi", "+ false"}
    assert failed.command == "false"


def test_a_loop_is_as_fast_as_without_it():
    loop = "for ((i = 0; i < 100000; i++)); do x=$i; done"

    def seconds(argv):
        start = time.monotonic()
        subprocess.run(argv, check=True, capture_output=True)
        return time.monotonic() - start

    plain = min(seconds(["bash", "-c", loop]) for _ in range(3))
    assert min(seconds(shell.argv(loop)) for _ in range(3)) < 2 * plain + 0.1


DOCKER = """docker: Error response from daemon: Conflict. The name "/web" is already in use.

Run 'docker run --help' for more information
"""
SAID = [
    (
        "docker run --name web x",
        DOCKER,
        'docker: Error response from daemon: Conflict. The name "/web" is already in use.',
    ),
    (
        "docker network rm nope",
        "Error response from daemon: network nope not found\nexit status 1\n",
        "Error response from daemon: network nope not found",
    ),
    (
        "docker run --foo x",
        "unknown flag: --foo\n\nUsage:  docker run [OPTIONS] IMAGE\n\n"
        "Run 'docker run --help' for more information\n",
        "unknown flag: --foo",
    ),
    ("docker inspect nope", "[]\nerror: no such object: nope\n", "error: no such object: nope"),
    (
        "ip link add x type dummy",
        "RTNETLINK answers: File exists\n",
        "RTNETLINK answers: File exists",
    ),
    (
        "ip addr add 1.2.3 dev x",
        'Error: any valid prefix is expected rather than "1.2.3".\n',
        'Error: any valid prefix is expected rather than "1.2.3".',
    ),
    (
        "iptables -A NOPE",
        "iptables v1.8.11 (nf_tables): Chain 'NOPE' does not exist\n"
        "Try `iptables -h' or 'iptables --help' for more information.\n",
        "iptables v1.8.11 (nf_tables): Chain 'NOPE' does not exist",
    ),
    (
        "nft list table x",
        "Error: No such file or directory\nlist table x\n           ^\n",
        "Error: No such file or directory",
    ),
    (
        "ping -c 1 10.0.0.9",
        "PING 10.0.0.9\n\n--- 10.0.0.9 ping statistics ---\n"
        "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n",
        "1 packets transmitted, 0 received, 100% packet loss, time 0ms",
    ),
    (
        "docker exec c ping -c 1 db",
        "ping: db: Name or service not known\n",
        "ping: db: Name or service not known",
    ),
]


@pytest.mark.parametrize(("command", "output", "reason"), SAID)
def test_the_reason_is_the_programs_own_line_and_no_hint(command, output, reason):
    report = "\0".join(["fatal", "0", "1,", "4", command, "exit", "0", "1,1,", "1", command, ""])
    failed = shell.failure(command, 1, report.encode(), output.encode())
    assert failed == shell.Failure(command, 1, reason)


def test_what_another_command_said_is_not_the_reason():
    _, failed = run("ls /none || true\necho Error response from daemon: no\npython3 -c 'exit(7)'")
    assert failed == shell.Failure("python3 -c 'exit(7)'", 7, "")
