"""The reference solution and a plausible wrong one."""

from sandbox.hosts.plan import address

OWN = address("host-a")


def solution(it) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker run -d --name {it.admin} -p 127.0.0.1:{it.admin_port}:80 toolbox\n"
            f"docker run -d --name {it.office} -p {OWN}:{it.office_port}:80 toolbox\n"
            f"docker run -d --name {it.shop} -p {it.shop_port}:80 toolbox",
        ),
        (
            "a",
            f"iptables -I DOCKER-USER -s {address(it.barred)} -p tcp "
            f"-m conntrack --ctorigdstport {it.shop_port} -j DROP",
        ),
    ]


def wrong(it):
    """One service has no address of its own, and the rule drops all that comes from a host."""
    commands = [
        (
            "a",
            f"docker run -d --name {it.admin} -p 127.0.0.1:{it.admin_port}:80 toolbox\n"
            f"docker run -d --name {it.office} -p {it.office_port}:80 toolbox\n"
            f"docker run -d --name {it.shop} -p {it.shop_port}:80 toolbox",
        ),
        ("a", f"iptables -I DOCKER-USER -s {address(it.barred)} -j DROP"),
    ]
    lost = {
        f"Publish {it.office} at host-a's LAN address alone",
        f"Leave {it.barred} everything else",
    }
    return commands, {}, lost
