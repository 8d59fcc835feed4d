"""Measure the sandbox and print a table: make bench, or python -m tests.benchmarks [--cold].

--cold builds everything again in a cache folder of its own, which takes minutes. The other
figures come from the usual cache. Each is the middle one of five runs; first and last differ.
"""

import os
import subprocess
import sys
import tempfile
import time

import sandbox
from sandbox.engine.vm import VMEngine
from sandbox.lessons.density import density
from sandbox.status import status
from sandbox.steps import Quiet
from tests.benchmarks import rootless
from tests.benchmarks.measure import ID, RUNS, seconds, table


def up():
    box = sandbox.up(2, id=ID, steps=Quiet())
    for name in box.hosts:
        box.host(name).client.ping()


def cold():
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sandbox", "build"]
        subprocess.run(
            command,
            env={**os.environ, "WIRE_BY_WIRE_CACHE": folder},
            check=True,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


def yardstick(image):
    """The same with the official rootless Docker; image: the toolbox as docker save writes it."""
    with rootless.folder() as folder:
        with rootless.engine(folder) as client:
            client.images.load(b"".join(image))
        starts, runs = [], []
        for _ in range(RUNS):
            began = time.monotonic()
            with rootless.engine(folder) as client:
                starts.append(time.monotonic() - began)
                runs.append(seconds(lambda: client.containers.run("toolbox", "true", remove=True)))
    return [
        ("rootless Docker: start until it answers", starts, "s"),
        ("rootless Docker: docker run --rm, by the Engine API", runs, "s"),
    ]


def main():
    rows = []
    if "--cold" in sys.argv:
        rows.append(("build from an empty cache", [seconds(cold)], "s"))
    try:
        up()
        state = VMEngine().state(ID)
        starts = []
        for _ in range(RUNS):
            sandbox.down(id=ID)
            starts.append(seconds(up))
        rows.append(("warm start until both hosts' Engines answer", starts, "s"))
        memory = [status(ID)["memory"]]
        box = sandbox.find(ID)
        rows.append(("reset", [seconds(lambda: box.reset(Quiet())) for _ in range(RUNS)], "s"))
        run = "docker run --rm toolbox true"
        host = box.host("a")
        programs = "for i in $(seq 100); do /bin/true; done"
        rows.append(
            (
                "100 programs started on a host",
                [seconds(lambda: host.run(programs)) for _ in range(RUNS)],
                "s",
            )
        )
        rows.append(
            (
                "docker run --rm, command line on a host",
                [seconds(lambda: host.run(run)) for _ in range(RUNS)],
                "s",
            )
        )
        rows.append(
            (
                "docker run --rm, by the Engine API",
                [
                    seconds(lambda: host.client.containers.run("toolbox", "true", remove=True))
                    for _ in range(RUNS)
                ],
                "s",
            )
        )
        # One run each: what is measured is a VM that is started, not one that was warmed up.
        rows.append(("vm start on a host", [seconds(lambda: host.run("vm start"))], "s"))
        rows.append(
            ("vm exec hostname there", [seconds(lambda: host.run("vm exec hostname"))], "s")
        )
        host.run("vm stop")
        boot = "vm start --boot; vm stop"
        rows.append(("vm start --boot", [seconds(lambda: host.run(boot, timeout=900))], "s"))
        box.reset(Quiet())
        crowd = density(20, id=ID)
        rows.append(("start of each of 20 containers", list(crowd.seconds), "s"))
        rows.append(("memory of each of them", [crowd.memory[-1] / 20], "MiB"))
        rows.append(("resident memory, two hosts just up", memory, "MiB"))
        rows.append(("the same after those containers", [status(ID)["memory"]], "MiB"))
        try:
            rows += yardstick(host.client.images.get("toolbox").save(named=True))
        except rootless.NotHere as reason:
            print(f"Rootless Docker could not be measured here: {reason}.")
        print(state.detail)
        table(rows)
    finally:
        sandbox.down(id=ID)


main()
