"""Measure a journey: python -m tests.benchmarks.journeys [HOSTS CONTAINERS]...

For each pair (1 0, 2 20 and 4 40 without arguments) the seconds from the call to the result and
to its picture, the containers spread over the hosts.
"""

import sys

import sandbox
from sandbox.steps import Quiet
from tests.benchmarks.measure import ID, RUNS, seconds, table


def measure(pairs):
    for hosts, containers in pairs:
        box = sandbox.up(hosts, id=ID, steps=Quiet())
        box.reset(Quiet())
        for name in box.hosts:
            client = box.host(name).client
            client.containers.run("toolbox", name="web", detach=True)
            for number in range(containers // hosts - 1):
                client.containers.run("toolbox", "sleep infinity", name=f"c{number}", detach=True)
        made = []

        def send(made=made):
            made.append(sandbox.journey("host-a", "host-a/web", tcp=80, id=ID))

        send()
        times = [seconds(send) for _ in range(RUNS)]
        assert made[-1].outcome == "answered", made[-1]
        label = f"{hosts} hosts and {containers} containers"
        yield f"journey, {label}", times, "s"
        yield f"its picture, {label}", [seconds(made[-1].data) for _ in range(RUNS)], "s"
        sandbox.down(id=ID)


def main(words):
    numbers = [int(word) for word in words] or [1, 0, 2, 20, 4, 40]
    try:
        table(measure(zip(numbers[::2], numbers[1::2], strict=True)))
    finally:
        sandbox.down(id=ID)


main(sys.argv[1:])
