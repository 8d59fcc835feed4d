"""Measure the model and the picture: python -m tests.benchmarks.network_state [CONTAINERS...]

For each number of containers on host-a (10 and 50 without arguments) the seconds that a
snapshot of it takes and the time to draw it; then from an Engine's event to the picture.
"""

import functools
import sys
import time

import sandbox
from sandbox.hosts.events import EngineEvents
from sandbox.steps import Quiet
from sandbox.views.picture import draw
from tests.benchmarks.measure import ID, RUNS, seconds, table


def fill(host, count):
    for number in range(len(host.client.containers.list()), count):
        host.client.containers.run("toolbox", "sleep infinity", name=f"c{number:03}", detach=True)


def event_to_picture(box):
    """From the event's arrival here until the picture's data are ready."""
    taken, began = [], []

    def changed():
        began.append(time.monotonic())

    client = box.host("a").client
    container = client.containers.list()[0]
    events = EngineEvents([box.host("a")], changed)
    for _ in range(RUNS):
        began.clear()
        container.pause()
        deadline = time.monotonic() + 20
        while not began and time.monotonic() < deadline:
            time.sleep(0.005)
        draw(box.snapshot(), detail="simple")
        taken.append(time.monotonic() - began[0])
        container.unpause()
        time.sleep(0.5)
    events.close()
    return taken


def measure(box, counts):
    for count in counts:
        fill(box.host("a"), count)
        yield (
            f"snapshot of a host with {count} containers",
            times(lambda: box.snapshot(("host-a",))),
            "s",
        )
        state = box.snapshot()
        for detail in ("simple", "full"):
            yield (
                f"picture of them, {detail}",
                times(functools.partial(draw, state, detail=detail)),
                "s",
            )
    yield "from an event to the picture's data", event_to_picture(box), "s"


def times(act):
    return [seconds(act) for _ in range(RUNS)]


def main(counts):
    try:
        table(measure(sandbox.up(2, id=ID, steps=Quiet()), counts))
    finally:
        sandbox.down(id=ID)


main([int(word) for word in sys.argv[1:]] or [10, 50])
