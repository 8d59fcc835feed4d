"""Measure the model and the picture: python -m tests.benchmarks.network_state [CONTAINERS...]

For each number of containers on host-a (10 and 50 without arguments) the seconds that a
snapshot of it takes and the time to draw it; then from an Engine's event to the picture.
"""

import os
import statistics
import sys
import time

import sandbox
from sandbox.events import EngineEvents
from sandbox.progress import Quiet
from sandbox.views.picture import draw

RUNS = 5
ID = f"bench{os.getpid()}"


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def row(what, taken):
    middle, least, most = statistics.median(taken), min(taken), max(taken)
    print(f"| {what} | {middle:.3f} s | {least:.3f} s | {most:.3f} s |", flush=True)


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


def main(counts):
    try:
        box = sandbox.up(2, id=ID, progress=Quiet())
        print("| what | middle | least | most |\n| --- | --- | --- | --- |")
        for count in counts:
            fill(box.host("a"), count)
            row(f"snapshot of a host with {count} containers",
                [seconds(lambda: box.snapshot(("host-a",))) for _ in range(RUNS)])  # fmt: skip
            state = box.snapshot()
            for detail in ("simple", "full"):
                row(f"picture of them, {detail}",
                    [seconds(lambda level=detail, now=state: draw(now, detail=level))
                     for _ in range(RUNS)])  # fmt: skip
        row("from an event to the picture's data", event_to_picture(box))
    finally:
        sandbox.down(id=ID)


main([int(word) for word in sys.argv[1:]] or [10, 50])
