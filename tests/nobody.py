"""Runs a command as an account without rights, network or a home, as a pod or a laptop has it."""

USER = 1000


def as_nobody(*binds):
    """The beginning of a command line (bubblewrap's) that does so.

    All but /tmp, which is empty, can be read and nothing written to, except for binds: each the
    way, ``--bind`` or ``--ro-bind``, a path here, and its path there.
    """
    given = [str(word) for bind in binds for word in bind]
    return [
        "bwrap",
        "--unshare-all",
        "--uid",
        str(USER),
        "--gid",
        str(USER),
        "--cap-drop",
        "ALL",
        "--new-session",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        *given,
        "--chdir",
        "/tmp",
    ]
