"""Have the README's Binder badge lead to the repository that this clone is of: make badge"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

README = Path(__file__).parents[1] / "README.md"
BADGE = re.compile(r"(\[!\[Binder\]\(\S+?\)\]\()https://mybinder\.org/v2/\S+?(\?urlpath=\S+\))")


def place(url: str, branch: str) -> str:
    """What mybinder.org calls a repository: gh/OWNER/NAME/BRANCH, gl/… or git/….

    url: of a git remote, as https://HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git; a name and a
    password in it are left out. Raises ValueError if it is neither.
    Source: https://mybinder.readthedocs.io/en/latest/using/using.html
    """
    found = re.fullmatch(
        r"(?:https://(?:[^@/\s]+@)?|(?:ssh://)?git@)([\w.-]+)(?::\d+)?[/:]([^@\s]+?)(?:\.git)?/?",
        url,
    )
    if not found:
        raise ValueError(url)
    host, path = found.groups()
    if host == "github.com":
        return f"gh/{path}/{branch}"
    if host == "gitlab.com":
        return f"gl/{quote(path, safe='')}/{branch}"
    return f"git/{quote(f'https://{host}/{path}', safe='')}/{branch}"


def led(readme: str, repository: str) -> str:
    """The README's text with its badge leading to that place. Raises LookupError without one."""
    said, found = BADGE.subn(rf"\g<1>https://mybinder.org/v2/{repository}\g<2>", readme)
    if not found:
        raise LookupError
    return said


def main() -> int:
    """Write the README."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    url = git("remote", "get-url", "origin")
    try:
        repository = place(url, git("branch", "--show-current") or "HEAD")
    except ValueError:
        shown = re.sub(r"//[^/]*@", "//", url)
        print(
            f"The clone's origin is {shown!r}, which mybinder.org cannot reach. Publish the "
            "course, then: git remote set-url origin https://HOST/OWNER/NAME",
            file=sys.stderr,
        )
        return 1
    try:
        README.write_text(led(README.read_text(), repository))
    except LookupError:
        print(
            f"{README.name} has no Binder badge: [![Binder](…)](https://mybinder.org/v2/…)",
            file=sys.stderr,
        )
        return 1
    print(f"The badge leads to https://mybinder.org/v2/{repository}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
