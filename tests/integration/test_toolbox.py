"""The toolbox image: in each of its shells a command is the program that people know."""

import pytest

from tests.hosts import ok

pytestmark = pytest.mark.engine
# Each command, and words that only the real program says: BusyBox has one of the same name.
REAL = {
    "ip -br addr show lo": "UNKNOWN",
    "ping -V": "iputils",
    "nc -h": "OpenBSD netcat",
    "wget --version": "GNU Wget",
    "nslookup -version": "nslookup 9",
}


@pytest.fixture(scope="module")
def host(sandbox_up):
    found = sandbox_up.host("a")
    ok(found, "docker run -d --name shells toolbox")
    yield found
    ok(found, "docker rm -f shells")


@pytest.mark.parametrize(
    "start",
    ["docker run --rm toolbox sh -c", "docker exec shells sh -c", "docker exec shells ash -c"],
)
def test_a_shell_runs_the_real_programs(host, start):
    said = ok(host, f"{start} '{'; '.join(f'{it} 2>&1' for it in REAL)}'")
    assert [words for words in REAL.values() if words not in said] == []


def test_a_shell_at_a_terminal_runs_them_too(host):
    typed = "".join(f"{it} 2>&1 | head -n 2\\n" for it in REAL)
    said = ok(host, f"printf '{typed}exit\\n' | script -qec 'docker exec -it shells sh' /dev/null")
    assert [words for words in REAL.values() if words not in said] == []


def test_no_link_to_busybox_hides_a_program(host):
    lines = ok(
        host,
        "docker exec shells sh -c 'for n in $(busybox --list); do"
        " for d in /usr/local/bin /usr/sbin /usr/bin; do"
        " [ ! -e $d/$n ] || echo $n $(readlink -f $d/$n); done; done'",
    ).splitlines()
    programs = {}
    for name, program in map(str.split, lines):
        programs.setdefault(name, []).append(program)
    hidden = {n: p for n, p in programs.items() if "/usr/bin/busybox" in p and len({*p}) > 1}
    assert hidden == {}
    assert programs["ip"][0].endswith("bin/ip")
