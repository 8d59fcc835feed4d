"""What lesson 11 claims of the rules that act on a request, where its outputs do not show it."""

from between_cells import after

from tests.hosts import answers, ok

RULE = "-p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL ! -s 198.18.0.12 -j DROP"


def packets(host, rules, which):
    """How many packets the one rule matched that which, a condition of awk's, is true of."""
    return int(ok(host, f"iptables -vnxL {rules} | awk '{which} {{print $1}}'"))


@after('outcome("PREROUTING and FORWARD")')
def the_table_nat_was_asked_for_one_packet_of_several(a, b):
    assert packets(a, "DOCKER -t nat", "/dpt:8080/") == 1
    assert packets(a, "DOCKER-CT", "$7 ~ /^br-/") > 1


@after("xtables-monitor --trace")
def iptables_calls_itself_nf_tables(a, b):
    assert "(nf_tables)" in ok(a, "iptables -V")


# After the quiz the hosts are put back as new.
@after("quizzes/11-iptables.toml")
def what_is_published_on_loopback_is_served_there_and_not_on_the_lan(a, b):
    ok(a, "curl -s -m 3 http://127.0.0.1:8081")
    assert b.run("curl -s -m 3 http://198.18.0.11:8081").code == 7


@after("quizzes/11-iptables.toml")
def without_its_interface_the_rule_of_docker_user_drops_containers_calls_to_others(a, b):
    ok(b, "echo elsewhere > /srv/index.html; busybox httpd -p 8080 -h /srv")
    outward = "docker exec web curl -s -m 2 http://198.18.0.12:8080"
    ok(a, f"iptables -I DOCKER-USER -i eth0 {RULE}")
    assert ok(a, outward) == "elsewhere"
    ok(a, f"iptables -I DOCKER-USER {RULE}")
    assert a.run(outward).code == 28


@after("quizzes/11-iptables.toml")
def a_caller_by_ipv6_comes_to_the_proxy_past_docker_user_and_through_input(a, b):
    for host, address in ((a, "fd00:b::11"), (b, "fd00:b::12")):
        ok(host, "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0")
        ok(host, f"ip addr add {address}/64 dev eth0 nodad")
    ok(a, "iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport 8080 -j DROP")
    assert b.run("curl -s -m 2 http://198.18.0.11:8080").code == 28
    call = "curl -s -m 2 http://[fd00:b::11]:8080"
    assert answers(b, call).endswith("you are 172.18.0.1")
    ok(a, "ip6tables -I INPUT -p tcp --dport 8080 -j DROP")
    assert b.run(call).code == 28
