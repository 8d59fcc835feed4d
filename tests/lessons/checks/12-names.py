"""Lesson 12: which port, which container and which interface its outputs leave out."""

from between_cells import after

from tests.hosts import ok

INSIDE = "nsenter -t $(docker inspect -f '{{.State.Pid}}' client) -n"
# The cell before the last, which puts the hosts back as new.
QUIZ = "quizzes/12-names.toml"


def dig(host, name, options="", container="client"):
    return ok(host, f"docker exec {container} dig +short {options} {name}")


@after("iptables -t nat -S | grep -- -A")
def rules_of_the_container_lead_to_the_ports_where_dockerd_listens(a, b):
    sockets = [line.split() for line in ok(a, f"{INSIDE} ss -Hlntup").splitlines()]
    ports = {words[0]: words[4].rpartition(":")[2] for words in sockets}
    assert sorted(words[0] for words in sockets) == ["tcp", "udp"]
    rules, hosts = ok(a, f"{INSIDE} iptables -t nat -S"), ok(a, "iptables -t nat -S")
    for kind, port in ports.items():
        assert port != "53"
        led = f"-p {kind} -m {kind} --dport 53 -j DNAT --to-destination 127.0.0.11:{port}"
        assert led in rules
        assert f"-p {kind} -m {kind} --sport {port} -j SNAT --to-source :53" in rules
        assert f":{port}" not in hosts


@after("dig +short -x 172.18.0.2")
def the_name_with_the_networks_behind_it_is_answered_too(a, b):
    assert dig(a, "web.app") == "172.18.0.2"


@after("curl -s http://172.18.0.2")
def the_name_follows_the_container_and_the_old_address_leads_to_another(a, b):
    web, filler = ok(a, "docker inspect -f '{{slice .Id 0 12}}' web filler").split()
    assert web in ok(a, "docker exec client curl -s http://web")
    assert filler in ok(a, "docker exec client curl -s http://172.18.0.2")


@after("timeout 8 tcpdump -i any")
def the_question_leaves_by_eth0_with_the_hosts_address(a, b):
    ok(a, "grep 'eth0 *Out .* 198.18.0.11.* > 198.18.0.1.53: .*A. example.org' /root/dns")


@after(QUIZ)
def answers_of_the_embedded_server_need_no_rule(a, b):
    assert dig(a, "web") == dig(a, "web", "+tcp") == "172.18.0.6"
    counted = [line.split() for line in ok(a, f"{INSIDE} iptables -t nat -nvL").splitlines()]
    packets = {
        target: [words[0] for words in counted if words[2:3] == [target]]
        for target in ("DNAT", "SNAT")
    }
    assert packets["SNAT"] == ["0", "0"]
    # Questions came by both.
    assert len(packets["DNAT"]) == 2
    assert "0" not in packets["DNAT"]


@after(QUIZ)
def who_asks_another_server_has_the_networks_names_too(a, b):
    assert dig(a, "web", container="mended") == "172.18.0.6"
