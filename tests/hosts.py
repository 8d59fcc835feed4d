"""What tests do on hosts, and what they expect of a command there."""

import time
from concurrent.futures import ThreadPoolExecutor

import sandbox
from sandbox.lessons.shop import look


def ok(host, command):
    """The command's output; it has to succeed."""
    result = host.run(command)
    assert result.code == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout.strip()


def answers(host, command):
    """What command prints once it succeeds: a server listens a moment after docker run."""

    def succeeds():
        result = host.run(command)
        return result if result.code == 0 else None

    return until(command, succeeds, 15).stdout.strip()


def until(what, holds, seconds=180):
    """What holds() gives once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
    return found


def make_swarm(manager, worker):
    """Two hosts' swarm. Once the worker has ingress, a container there can join an overlay: before,
    its attachment waits, and dockerd gives that 20 s.
    """
    ok(manager, f"docker swarm init --advertise-addr {manager.address}")
    token = ok(manager, "docker swarm join-token -q worker")
    ok(worker, f"docker swarm join --token {token} {manager.address}:2377")
    gateways = "docker network inspect -f '{{.Containers}}' docker_gwbridge"
    until("the worker has ingress", lambda: "ingress-sbox" in worker.run(gateways).stdout)


def run_on_overlay(host, name, network, command=""):
    """docker run on a worker. dockerd gives the manager 20 s to place it on the network; where the
    processors are busy with other tests that is now and then too little, and it is started again.
    """
    run = f"docker run -d --name {name} --network {network} toolbox {command}"
    first = host.run(run)
    if "attaching to network failed" in first.stderr:
        print(first.stderr, host.run("tail -50 /var/log/dockerd.log").stdout)
        ok(host, f"docker start {name}")
    else:
        assert first.code == 0, f"{run}\n{first.stdout}{first.stderr}"


def nobody_answers(host, command):
    """A ping that ran and got no reply; any other failure is none of this."""
    result = host.run(command)
    assert result.code == 1, f"{command}\n{result.stdout}{result.stderr}"
    assert " 0 received" in result.stdout, result.stdout
    return result.stdout


def mac(host, command=""):
    """eth0's MAC address, on the host or where command runs."""
    return ok(host, f"{command} cat /sys/class/net/eth0/address".strip())


def wrong_steps(steps):
    """Titles of those steps of the shop's decision tree that show something wrong now."""
    box = sandbox.find()
    with ThreadPoolExecutor() as pool:
        looked = pool.map(lambda step: look(box, step), steps)
        return [step.title for step, (_, right) in zip(steps, looked, strict=True) if not right]
