"""What real hosts' agents read is what the types of the guest's state promise to the model."""

import ast
import types
import typing

import pytest

from sandbox.engine import assets, image
from sandbox.guest import state_types
from tests.states import capture

# The stored states are from agents that did not tell these yet.
NOT_YET = {"State.machines", "Saved.status"}


def unlike(value, hint, place):
    """Where value, JSON, is not of that type, with the reason."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        kind = types.NoneType if value is None else inside[0]
        yield from unlike(value, kind, place)
    elif typing.is_typeddict(hint):
        yield from unlike_keys(value, hint, place)
    elif type(value) is not (origin or hint) and hint is not object:
        yield f"{place} is {value!r}, no {hint}"
    elif origin is list:
        for item in value:
            yield from unlike(item, inside[0], f"{place}[]")
    elif origin is dict:
        for key, item in value.items():
            yield from unlike(item, inside[1], f"{place}[{key!r}]")


def unlike_keys(value, hint, place):
    known = typing.get_type_hints(hint, include_extras=True)
    for key, kind in known.items():
        optional = typing.get_origin(kind) is typing.NotRequired
        if key in value:
            yield from unlike(
                value[key], typing.get_args(kind)[0] if optional else kind, f"{place}.{key}"
            )
        elif hint.__total__ and not optional and f"{hint.__name__}.{key}" not in NOT_YET:
            yield f"{place} has no {key}"
    # Of the Engine's own, only what is read has a type.
    yield from (f"{place}.{key} has no type" for key in value.keys() - known if key[0].islower())


@pytest.mark.parametrize("scenario", capture.SCENARIOS)
def test_the_states_of_real_hosts_are_of_their_types(scenario):
    for host, found in capture.load(scenario).items():
        assert [*unlike(found["state"], state_types.State, host)] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: it.pop("namespaces"), "a has no namespaces"),
        (lambda it: it.update(routes=[]), "a.routes has no type"),
        (lambda it: it["namespaces"][0].update(inode="1"), "a.namespaces[].inode is '1', no "),
        (lambda it: it["namespaces"][0]["nsids"].update(x=[]), "nsids['x'] is [], no "),
        (lambda it: it["engine"]["networks"][0].pop("Id"), "a.engine.networks[] has no Id"),
        (lambda it: it["engine"]["containers"][0].update(Args="ls"), "Args is 'ls', no "),
    ],
)
def test_a_state_of_another_form_is_found(change, said):
    state = capture.load("bridge")["host-a"]["state"]
    change(state)
    [found] = unlike(state, state_types.State, "a")
    assert said in found


def test_no_host_has_the_types_or_loads_typing():
    """An emulated processor needs a second to load it."""
    files = {*assets.ROOT_FILES, *image.HOST_FILES}
    assert "state_types.py" not in files
    for name in files:
        if name.endswith(".py"):
            tree = ast.parse((assets.GUEST / name).read_text())
            for node in tree.body:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    assert "typing" not in ast.unparse(node), name
