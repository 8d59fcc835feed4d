"""What the tests of the lessons' claims do on hosts."""


def ok(host, command):
    """The command's output; it has to succeed."""
    result = host.run(command)
    assert result.code == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout.strip()
