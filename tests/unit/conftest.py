"""What every unit test keeps to."""

import os

import pytest

BEFORE = pytest.StashKey[dict[str, str]]()


def environment():
    # pytest names the test that runs there, and what it is doing.
    return {name: it for name, it in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[BEFORE] = environment()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    """A test leaves the environment as it was: those after it, in VMs too, would meet its own."""
    result = yield
    before, after = item.stash[BEFORE], environment()
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    for name in changed:
        os.environ.pop(name, None)
        os.environ |= {name: before[name]} if name in before else {}
    assert not changed, f"left in the environment: {', '.join(sorted(changed))}"
    return result
