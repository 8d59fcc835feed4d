"""Hosts in known states, as their agents read them: python -m tests.states.capture [SCENARIO...]

Writes one file a scenario beside this one. Each holds, by host, what the agent gave (``state``)
and what ip(8) said in each namespace right after (``ip``), which is what tests compare with.
"""

import gzip
import json
import sys
from pathlib import Path

import sandbox
from sandbox.steps import Quiet

FOLDER = Path(__file__).parent
# For each scenario the lines that lead to it, each with the host that it runs on.
SCENARIOS = {
    "bridge": [
        ("a", "docker run -d --name web -p 8080:80 -p 127.0.0.1:5353:53/udp toolbox"),
        ("a", "docker run -d --name client toolbox sleep infinity"),
        ("a", "docker network create --ipv6 --subnet 172.18.0.0/24 --subnet fd00:5::/64 shop"),
        ("a", "docker network connect --alias front shop web"),
        ("a", "docker network connect shop client"),
        ("a", "docker run -d --name guest --network container:client toolbox sleep infinity"),
        ("a", "docker create --name later toolbox"),
        ("a", "docker network create --internal cellar"),
    ],
    "lan": [
        ("a", "docker run -d --name in-host --network host toolbox"),
        ("a", "docker run -d --name alone --network none toolbox sleep infinity"),
        ("a", "docker network create -d macvlan --subnet 10.5.0.0/24 -o parent=eth0.10 tagged"),
        ("a", "docker run -d --name mac --network tagged --ip 10.5.0.11 toolbox"),
        (
            "a",
            "docker network create -d ipvlan --subnet 10.6.0.0/24 -o parent=eth0"
            " -o ipvlan_mode=l3 routed",
        ),
        ("a", "docker run -d --name ipv --network routed --ip 10.6.0.11 toolbox"),
        ("a", "ip netns add blue; ip link add v0 type veth peer name v1 netns blue"),
        ("a", "ip address add 10.9.0.1/24 dev v0; ip link set v0 up"),
        ("a", "ip netns exec blue ip address add 10.9.0.2/24 dev v1"),
        ("a", "iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport 8080 -j DROP"),
        (
            "a",
            "nft add table inet mine; nft add chain inet mine watch; "
            "nft add rule inet mine watch tcp dport '{ 22, 80 }' counter drop",
        ),
    ],
    "overlay": [
        ("a", "docker swarm init --advertise-addr 198.18.0.11"),
        ("b", "docker swarm join --token {token} 198.18.0.11:2377"),
        ("a", "docker network create -d overlay --attachable --subnet 10.7.0.0/24 span"),
        ("a", "docker run -d --name left --network span toolbox"),
        ("b", "docker run -d --name right --network span toolbox"),
        (
            "a",
            "docker service create -q --name shop --network span"
            " --constraint node.hostname==host-a toolbox",
        ),
    ],
}


def build(box, scenario):
    """Bring fresh hosts to that scenario."""
    for host, line in SCENARIOS[scenario]:
        token = ""
        if "{token}" in line:
            token = box.host("a").run("docker swarm join-token -q worker").stdout.strip()
        command = line.replace("{token}", token)
        result = box.host(host).run(command)
        assert result.code == 0, f"{command}\n{result.stderr}"


def read(host):
    """What the agent reads there, and what ip(8) says in each of those namespaces."""
    state = host.read_state()
    said = {}
    for namespace in state["namespaces"]:
        enter = f"nsenter --net={namespace['open']} "
        lines = [enter + words for words in ("ip -d -j address", "ip -j route", "bridge -j fdb")]
        said[namespace["inode"]] = [json.loads(host.run(line).stdout or "[]") for line in lines]
    return {"state": state, "ip": said}


def load(scenario):
    """By host what ``read`` gave when the scenario was captured."""
    return json.loads(gzip.decompress((FOLDER / f"{scenario}.json.gz").read_bytes()))


def main():
    box = sandbox.up(2, fresh=True)
    for scenario in sys.argv[1:] or SCENARIOS:
        box.reset(Quiet())
        build(box, scenario)
        found = {name: read(box.host(name)) for name in box.hosts}
        path = FOLDER / f"{scenario}.json.gz"
        path.write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main())
