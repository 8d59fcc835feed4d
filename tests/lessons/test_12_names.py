"""Names are answered by dockerd in the container's own namespace, and follow the container."""

import itertools
import json
from pathlib import Path

import pytest

from tests.hosts import answers, ok, until

RULES = "nsenter -t $(docker inspect -f '{{.State.Pid}}' client) -n iptables -t nat -S"

pytestmark = pytest.mark.engine


@pytest.fixture
def app(fresh):
    """host-a with web, which has names of every kind, and client on a network of their own."""
    a = fresh.host("a")
    ok(a, "docker network create app")
    ok(a, "docker run -d --name web --hostname box --network app --network-alias www toolbox")
    ok(a, "docker run -d --name client --network app toolbox sleep infinity")
    return a


def dig(host, name, options="+short", container="client"):
    return ok(host, f"docker exec {container} dig {options} {name}").splitlines()


def test_dockerd_answers_at_another_port_that_rules_of_the_container_lead_to(app):
    assert (
        ok(app, "docker exec client grep ^nameserver /etc/resolv.conf") == "nameserver 127.0.0.11"
    )
    pid = ok(app, "docker inspect -f '{{.State.Pid}}' client")
    [udp] = ok(app, f"nsenter -t {pid} -n ss -Hlnup").splitlines()
    assert '(("dockerd"' in udp
    port = udp.split()[3].rpartition(":")[2]
    assert port != "53"
    rules = ok(app, RULES)
    assert f"-p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:{port}" in rules
    assert f"-p udp -m udp --sport {port} -j SNAT --to-source :53" in rules
    assert f":{port}" not in ok(app, "iptables -t nat -S")


def test_answers_of_the_embedded_server_need_no_rule(app):
    assert dig(app, "web") == dig(app, "web", "+tcp +short") == ["172.18.0.2"]
    counted = ok(app, RULES.replace("-S", "-nvL DOCKER_POSTROUTING"))
    snat = [line.split() for line in counted.splitlines() if "SNAT" in line]
    assert [words[0] for words in snat] == ["0", "0"]


def test_a_container_has_its_name_its_aliases_its_host_name_and_its_id(app):
    short = ok(app, "docker inspect -f '{{slice .Id 0 12}}' web")
    for name in ("web", "www", "box", short, "web.app"):
        assert dig(app, name) == ["172.18.0.2"], name
    assert dig(app, "-x 172.18.0.2") == ["web.app."]
    assert " 600 " in " ".join(dig(app, "web", "+noall +answer")[0].split())


def test_the_default_bridge_knows_no_names(app):
    ok(app, "docker run -d --name one toolbox; docker run -d --name two toolbox sleep infinity")
    server = ok(app, "docker exec two grep ^nameserver /etc/resolv.conf")
    assert server == "nameserver 198.18.0.1"
    said = app.run("docker exec two ping -c 1 one")
    assert (said.code, "name resolution" in said.stderr) == (2, True)


def test_an_alias_of_two_gives_both_in_an_order_of_chance(app):
    for name in ("pool1", "pool2"):
        ok(app, f"docker run -d --name {name} --network app --network-alias pool toolbox")
    assert sorted(dig(app, "pool")) == ["172.18.0.4", "172.18.0.5"]
    script = "for i in $(seq 60); do dig +short pool | head -1; done"
    first = ok(app, f"docker exec client sh -c '{script}'").split()
    # If they took turns, neither would come twice in a row.
    assert {one for one, next_ in itertools.pairwise(first) if one == next_} == {
        "172.18.0.4", "172.18.0.5",
    }  # fmt: skip


def test_a_name_follows_the_container_that_is_replaced(app):
    ok(app, "docker rm -f web; docker run -d --name filler --network app toolbox")
    ok(app, "docker run -d --name web --network app toolbox")
    web, filler = ok(app, "docker inspect -f '{{slice .Id 0 12}}' web filler").split()
    assert web in answers(app, "docker exec client curl -s http://web")
    assert filler in answers(app, "docker exec client curl -s http://172.18.0.2")


def test_a_server_that_was_named_is_asked_from_the_containers_namespace(app):
    ok(app, "timeout 20 tcpdump -i any -n -l udp port 53 > /root/dns 2> /dev/null & sleep 2")
    app.run("docker exec client dig +tries=1 +time=2 example.org")
    answers(app, "grep 'eth0 *Out .* 198.18.0.11.* > 198.18.0.1.53: .*A. example.org' /root/dns")
    assert ok(app, "grep ' 172.18.0.3.* > 198.18.0.1.53: .*A. example.org' /root/dns")
    assert "ExtServers: [host(" in ok(app, "cat /etc/resolv.conf")
    own = ok(app, "docker run --rm --network app --dns 198.18.0.12 toolbox cat /etc/resolv.conf")
    assert "ExtServers: [198.18.0.12]" in own


def test_a_service_name_is_one_address_and_with_dnsrr_all_tasks(fresh):
    a = fresh.host("a")
    ok(a, "docker swarm init --advertise-addr 198.18.0.11")
    ok(a, "docker network create -d overlay --attachable span")
    create = "docker service create -q --detach=false --network span --replicas 2"
    ok(a, f"{create} --name api toolbox; {create} --name raw --endpoint-mode dnsrr toolbox")
    ok(a, "docker run -d --name ask --network span toolbox sleep infinity")
    for name, count in (("api", 1), ("tasks.api", 2), ("raw", 2)):
        until(name, lambda name=name, n=count: len(dig(a, name, container="ask")) == n, 30)


def test_a_wrong_server_hurts_outside_names_alone(app, fresh):
    cells = json.loads(Path("lessons/12-names.ipynb").read_text())["cells"]
    [server] = [c["source"][1:] for c in cells if c["source"][0].startswith("%%host b --save")]
    b = fresh.host("b")
    ok(b, f"cat > /root/dns.py << 'END'\n{''.join(server)}\nEND")
    ok(b, "setsid python3 /root/dns.py > /dev/null 2>&1 < /dev/null &")
    for name, address in (("right", "198.18.0.12"), ("wrong", "198.18.0.21")):
        ok(app, f"docker run -d --name {name} --network app --dns {address} toolbox sleep infinity")
        assert dig(app, "web", container=name) == ["172.18.0.2"]
    until("an answer", lambda: dig(app, "printer.lan", container="right") == ["198.18.0.50"], 15)
    said = dig(app, "printer.lan", "+tries=1 +time=9", container="wrong")
    assert any("status: SERVFAIL" in line for line in said)
