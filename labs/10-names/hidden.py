"""The reference solution and a plausible wrong one."""


def solution(it) -> list[tuple[str, str]]:
    return [
        (
            "a",
            f"docker network disconnect {it.net} {it.green}\n"
            f"docker network connect --alias {it.name} {it.net} {it.green}\n"
            f"docker network disconnect {it.net} {it.blue}\n"
            f"docker network connect {it.net} {it.blue}",
        ),
        (
            "a",
            "docker network create between\n"
            f"docker network connect --alias {it.name} between {it.green}\n"
            f"docker network connect between {it.old}",
        ),
    ]


def wrong(it):
    """Both servers have the name now, and either of them is called by it."""
    commands = [
        (
            "a",
            f"docker network disconnect {it.net} {it.green}\n"
            f"docker network connect --alias {it.name} {it.net} {it.green}\n"
            f"docker network connect {it.net} {it.old}",
        )
    ]
    lost = {
        f"Take the name {it.name} from {it.blue}",
        f"Keep {it.blue} under its own name",
        f"Let {it.old} find {it.name}, and not reach {it.blue}",
    }
    return commands, {}, lost
