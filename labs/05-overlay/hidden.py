"""The reference solution, a plausible wrong one, and what only a teacher checks."""

from sandbox.hosts.plan import address
from sandbox.labs import Condition, Task, check, holds, in_swarm
from sandbox.labs.scene import Scene

OWN = address("host-a")
FOLDER = "/srv/handout"
CREATE = "docker network create -d overlay --attachable"


def swarm(it) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker swarm init --advertise-addr {OWN} | grep initialized\n"
            f"docker swarm join-token -q worker > {FOLDER}/token\n"
            f"{CREATE} --subnet {it.subnet} {it.span}",
        ),
        (
            "b",
            f"docker swarm join --token $(curl -sf http://{OWN}:{it.port}/token) {OWN}:2377\n"
            "timeout 90 sh -c 'until docker network inspect docker_gwbridge 2> /dev/null |"
            " grep -q ingress-sbox; do sleep 0.5; done'",
        ),
    ]


def run(name: str, network: str) -> str:
    """docker run on an overlay; its attachment may take longer than Docker waits for it."""
    return f"docker run -d --name {name} --network {network} toolbox || docker start {name}"


def solution(it) -> list[tuple[str, str]]:
    return [
        *swarm(it),
        (
            "a",
            f"rm {FOLDER}/token\n"
            f"{CREATE} --opt encrypted {it.vault}\n"
            f"{run(it.web, it.span)}\n"
            f"{run(it.ledger, it.vault)}",
        ),
        ("b", f"{run(it.till, it.span)}\n{run(it.clerk, it.vault)}"),
    ]


def wrong(it):
    """A second overlay counts as a secret one, a container is on both, the token lies about."""
    commands = [
        *swarm(it),
        (
            "a",
            f"{CREATE} {it.vault}\n"
            f"{run(it.web, it.span)}\n"
            f"{run(it.ledger, it.vault)}\n"
            f"docker network connect {it.span} {it.ledger}",
        ),
        ("b", f"{run(it.till, it.span)}\n{run(it.clerk, it.vault)}"),
    ]
    lost = {
        f"Encrypt {it.vault}, and put {it.ledger} and {it.clerk} on it",
        f"Keep {it.span} and {it.vault} apart",
        "Let no token lie about",
    }
    return commands, {}, lost


def no_token() -> Condition:
    """No file that host-a hands out has a token with which one could join now."""
    look = (
        "for role in worker manager; do\n"
        "  token=$(docker swarm join-token -q $role) || exit 3\n"
        f'  if grep -rqF -- "$token" {FOLDER}; then echo $role; fi\n'
        "done"
    )

    def fn(scene: Scene) -> tuple[bool, str]:
        found = scene.hosts["host-a"].run(look)
        if found.code:
            return False, "host-a has no token"
        roles = " and ".join(found.stdout.split())
        return not roles, f"a token for a {roles} is there" if roles else "there is none"

    return holds(f"no token is in {FOLDER} of host-a", fn, places=["host-a"])


def tasks(it) -> tuple[Task, ...]:
    return (
        check("Let no token lie about", 10, in_swarm("a", manager=True), in_swarm("b"), no_token()),
    )
