"""Pages of their own, from the front end's templates."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError

__all__ = ["FRONTEND", "save_page", "template", "unwritable"]

FRONTEND = Path(__file__).with_name("frontend")


@functools.cache
def template(name: str) -> Any:
    """That Jinja template of the front end; what it is given is escaped."""
    import jinja2

    loader = jinja2.FileSystemLoader(FRONTEND)
    return jinja2.Environment(loader=loader, autoescape=True).get_template(name)


def save_page(path: Path, title: str, output: str, noun: str) -> Path:
    """Write output, which is HTML, as a page that needs no other file; gives path.

    noun: what it is called in a message. Raises SandboxError if it cannot be written.
    """
    try:
        page = template("page.html").render(title=title, output=output)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise unwritable(f"The {noun} could not be saved as {path}.", error) from None
    return path


def unwritable(message: str, error: OSError) -> SandboxError:
    """The error for a file that the learner named and that cannot be written."""
    return SandboxError(
        message,
        why=error.strerror or str(error),
        fix="Name a file in a folder that exists and that you may write to.",
    )
