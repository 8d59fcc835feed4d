"""Which of Docker's rules act on a request, by counters, conntrack and the kernel's trace."""

import pytest

import sandbox
from tests.hosts import answers, ok

CALL = "curl -s -m 3 http://198.18.0.11:8080"

pytestmark = pytest.mark.engine


@pytest.fixture
def published(fresh):
    """host-a with web, published at 8080, and host-b."""
    a, b = fresh.host("a"), fresh.host("b")
    ok(a, "docker network create app; docker run -d --name web --network app -p 8080:80 toolbox")
    answers(b, CALL)
    return a, b


def lit(since):
    """Hooks that had a match, and the rules that matched, in order."""
    lines = str(sandbox.firewall("a", since=since)).splitlines()[1:]
    hooks = [line.partition(":")[0] for line in lines if line[0] != " "]
    return hooks, [line.strip() for line in lines if line.startswith("    ")]


def test_a_request_from_the_lan_is_rewritten_then_forwarded_and_not_put_in(published):
    a, b = published
    before = sandbox.snapshot()
    ok(b, CALL)
    hooks, rules = lit(before)
    assert hooks == ["PREROUTING", "FORWARD"]
    told = [rule.split("  ")[1] for rule in rules]
    dnat, accept = "DNAT tcp 8080 → 172.18.0.2:80", "ACCEPT tcp 80 to 172.18.0.2"
    assert [it for it in told if it.startswith((dnat, accept))] == [
        it for it in told if it.startswith(("DNAT", "ACCEPT tcp"))
    ]
    [translated] = [rule for rule in rules if dnat in rule]
    assert translated.endswith("(+1 packet)")
    flow = ok(a, "conntrack -L -p tcp --orig-port-dst 8080 2> /dev/null")
    assert "src=198.18.0.12 dst=198.18.0.11" in flow
    assert "src=172.18.0.2 dst=198.18.0.12 sport=80" in flow


def test_the_kernels_trace_names_the_rules_in_the_order_of_the_hooks(published):
    a, b = published
    assert "(nf_tables)" in ok(a, "iptables -V")
    trace = "PREROUTING -p tcp --dport 8080 --syn -j TRACE"
    ok(a, f"iptables -t raw -I {trace}")
    ok(a, "timeout 30 xtables-monitor --trace > /root/trace 2> /dev/null & sleep 2")
    ok(b, CALL)
    ok(a, f"iptables -t raw -D {trace}")
    said = answers(a, "grep -o '[a-z]*:[A-Z].*' /root/trace | grep -E 'dport 80 |dport 8080'")
    places = [line.split(":rule")[0] for line in said.splitlines()]
    assert places == ["raw:PREROUTING", "nat:DOCKER", "filter:DOCKER"]


def test_a_request_to_the_outside_is_masqueraded(published):
    a, b = published
    ok(b, "docker run -d --name far --network host toolbox")
    before = sandbox.snapshot()
    seen = answers(a, "docker exec web curl -s http://198.18.0.12")
    assert seen.endswith("you are 198.18.0.11")
    _, rules = lit(before)
    assert [rule for rule in rules if "MASQUERADE from 172.18.0.0/24" in rule]
    assert not [rule for rule in rules if "DNAT" in rule]


def test_loopback_is_served_by_the_proxy_without_any_rule(published):
    a, _ = published
    before = sandbox.snapshot()
    assert ok(a, "curl -s http://127.0.0.1:8080").endswith("you are 172.18.0.1")
    assert not [rule for rule in lit(before)[1] if "DNAT" in rule]
    assert "docker-proxy" in ok(a, "ss -ltnp 'sport = 8080'")


def test_docker_user_sees_the_containers_port_and_conntrack_the_published_one(published):
    a, b = published
    ok(b, "ip addr add 198.18.0.50/24 dev eth0")
    stranger = CALL.replace("curl", "curl --interface 198.18.0.50")
    ok(a, "iptables -I DOCKER-USER -p tcp --dport 8080 ! -s 198.18.0.12 -j DROP")
    ok(b, stranger)
    ok(a, "iptables -F DOCKER-USER")
    rule = "-p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL ! -s 198.18.0.12 -j DROP"
    ok(a, f"iptables -I DOCKER-USER -i eth0 {rule}")
    assert b.run(stranger).code == 28
    ok(b, CALL)
    ok(b, "cd /srv; setsid python3 -m http.server 8080 > /dev/null 2>&1 < /dev/null &")
    outward = "docker exec web curl -s -m 3 http://198.18.0.12:8080"
    assert answers(a, outward)
    ok(a, f"iptables -I DOCKER-USER {rule}")
    assert a.run(outward).code == 28


def test_a_caller_by_ipv6_comes_to_the_proxy_past_docker_user_and_through_input(published):
    for host, address in zip(published, ("fd00:b::11", "fd00:b::12"), strict=True):
        ok(host, "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0")
        ok(host, f"ip addr add {address}/64 dev eth0 nodad")
    a, b = published
    call = "curl -s -m 3 http://[fd00:b::11]:8080"
    ok(a, "iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport 8080 -j DROP")
    assert b.run(CALL).code == 28
    assert answers(b, call).endswith("you are 172.18.0.1")
    ok(a, "ip6tables -I INPUT -p tcp --dport 8080 -j DROP")
    assert b.run(call).code == 28


def test_input_is_not_asked_and_loopback_is_guarded_in_raw(published):
    a, b = published
    ok(a, "iptables -I INPUT -p tcp --dport 8080 -j DROP")
    ok(b, CALL)
    ok(a, "docker run -d --name inner --network app -p 127.0.0.1:8081:80 toolbox")
    answers(a, "curl -s -m 3 http://127.0.0.1:8081")
    assert b.run(CALL.replace("8080", "8081")).code == 7
    assert "-d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8081 -j DROP" in ok(
        a, "iptables -t raw -S PREROUTING"
    )


def test_a_rule_that_drops_is_the_last_that_is_lit(published):
    a, b = published
    ok(a, "iptables -I FORWARD -o br+ -m conntrack --ctstate NEW -j DROP")
    before = sandbox.snapshot()
    assert b.run(CALL).code == 28
    hooks, rules = lit(before)
    assert hooks[-1] == "FORWARD"
    assert rules[-1].startswith("1  DROP out by br+, state NEW")


def test_what_is_not_there_is_one_message(fresh):
    with pytest.raises(sandbox.SandboxError, match="no family 'ip5'"):
        sandbox.firewall("a", family="ip5")
    with pytest.raises(sandbox.SandboxError, match="'before' is not a snapshot"):
        sandbox.firewall("a", since="before")
    with pytest.raises(sandbox.SandboxError, match="not known"):
        sandbox.firewall("a", since=sandbox.snapshot("b"))
