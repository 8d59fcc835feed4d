import contextlib
import os
import uuid

import pytest

import sandbox


@pytest.fixture
def own():
    """Ids of sandboxes that a test may bring up; all are removed after it."""
    made = []

    def name():
        made.append(f"t{os.getpid()}-{uuid.uuid4().hex[:6]}")
        return made[-1]

    yield name
    for id in made:
        with contextlib.suppress(sandbox.SandboxError):
            sandbox.down(id=id)
