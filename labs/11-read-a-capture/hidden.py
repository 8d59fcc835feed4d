"""The reference solution and a plausible wrong one."""

from sandbox.hosts.plan import address


def solution(it) -> list[tuple[str, str]]:
    own = it.near_subnet[it.sender_number]
    return [("a", f"iptables -I DOCKER-USER -s {own} -p tcp --dport {it.port} -j DROP")]


def answers(it) -> dict[str, str]:
    return {
        "Which container calls the second port?": it.sender,
        "Which network of host-a do its packets come from?": it.near,
        "Which TCP port of host-b does it call?": str(it.port),
    }


def wrong(it):
    """The network is found, but not who it is, and so the whole network is cut off from host-b."""
    commands = [
        ("a", f"iptables -I DOCKER-USER -s {it.near_subnet} -d {address('host-b')} -j DROP")
    ]
    given = {**answers(it), "Which container calls the second port?": it.neighbour}
    lost = {"Say which container it is", "Stop those calls, and no others"}
    return commands, given, lost
