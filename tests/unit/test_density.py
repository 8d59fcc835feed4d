"""What is said of containers that were measured; what cannot be asked for."""

import pytest

import sandbox
from sandbox.errors import SandboxError
from sandbox.lessons.density import Density

MEASURED = Density((0.5, 0.7, 0.9, 1.1), (6.0, 12.0, 18.0, 24.0))


def test_the_text_compares_the_two_halves_and_shares_the_memory_out():
    assert str(MEASURED).splitlines() == [
        "4 containers of one image run on the network crowd",
        "start: 0.6 s each in the first half, 1.0 s each in the second",
        "memory: 24 MiB in all, 6.0 MiB each",
    ]


def test_one_container_is_its_own_half():
    assert "start: 2.0 s each in the first half, 2.0 s" in str(Density((2.0,), (5.0,)))


def test_the_chart_is_a_picture_and_a_text():
    bundle = MEASURED.chart()._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"].splitlines() == [
        "memory in use by containers: 6.0 MiB at 1, 12.0 MiB at 2, 24.0 MiB at 4",
        "start by containers: 0.5 s at 1, 0.7 s at 2, 1.1 s at 4",
    ]


@pytest.mark.parametrize("count", [0, -1, 501, "5", 2.5])
def test_a_count_that_no_host_could_hold_is_refused(count):
    with pytest.raises(SandboxError, match="cannot be asked for") as caught:
        sandbox.lessons.density(count)
    assert "1 to 500" in caught.value.fix
