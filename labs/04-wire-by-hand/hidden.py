"""The reference solution and a plausible wrong one."""


def pid(name: str) -> str:
    return f"$(docker inspect -f '{{{{.State.Pid}}}}' {name})"


def plug(it, name: str, wire: str, address: str) -> str:
    """Shell lines that plug a container into the bridge of the network."""
    return (
        f"pid={pid(name)}\n"
        f"bridge=br-$(docker network inspect -f '{{{{.Id}}}}' {it.net} | cut -c 1-12)\n"
        f"ip link add {wire} type veth peer name eth0 netns $pid\n"
        f"ip link set {wire} master $bridge up\n"
        f"nsenter -t $pid -n ip addr add {address} dev eth0\n"
        "nsenter -t $pid -n ip link set eth0 up"
    )


def solution(it) -> list[tuple[str, str]]:
    return [
        ("a", plug(it, it.job, "wire-job", f"{it.address}/24")),
        ("a", f"nsenter -t {pid(it.job)} -n ip route add default via {it.gateway}"),
        (
            "a",
            f"vault={pid(it.vault)}\n"
            f"peer={pid(it.peer)}\n"
            "ip link add eth0 netns $vault type veth peer name eth1 netns $peer\n"
            f"nsenter -t $vault -n ip addr add {it.wire[1]}/24 dev eth0\n"
            "nsenter -t $vault -n ip link set eth0 up\n"
            f"nsenter -t $peer -n ip addr add {it.wire[2]}/24 dev eth1\n"
            "nsenter -t $peer -n ip link set eth1 up",
        ),
    ]


def wrong(it):
    """Nobody looked the gateway up, and the wire of two is a second one to the bridge."""
    commands = [
        ("a", plug(it, it.job, "wire-job", f"{it.address}/24")),
        ("a", f"nsenter -t {pid(it.job)} -n ip route add default via {it.subnet[1]}"),
        ("a", plug(it, it.vault, "wire-vault", f"{it.wire[1]}/24")),
        (
            "a",
            f"nsenter -t {pid(it.peer)} -n ip addr add {it.wire[2]}/24 dev eth0",
        ),
    ]
    lost = {
        f"Let {it.job} reach host-b",
        f"Join {it.vault} and {it.peer} by a wire of their own",
    }
    return commands, {}, lost
