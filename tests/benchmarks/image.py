"""The image of binder/Dockerfile: its size, and what a learner's session takes in a container that
has one processor and 2 GB of memory.

python -m tests.benchmarks.image      as root; the image is built first, in some minutes
"""

import tempfile
import time
from pathlib import Path

from tests.podman import ROOT, Podman

LESSON = "04-overlay"
CODE = "import sandbox, time; h = sandbox.up(2).host('a'); t = time.monotonic(); "
READY = "until grep -q 'is ready' /tmp/wire-by-wire-build.log; do sleep 0.1; done"


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def processor(podman, course):
    """Seconds of a processor that the container has had."""
    told = podman(
        "exec",
        course,
        "sh",
        "-c",
        "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2> /dev/null || cat /sys/fs/cgroup/cpu.stat",
    ).split()
    return int(told[0]) / 1e9 if len(told) == 1 else int(told[1]) / 1e6


def session(podman):
    with podman.container("course", "jupyter-lab", "--no-browser") as course:

        def run(*words):
            return podman("exec", course, *words)

        yield "hosts unpacked, s", seconds(lambda: run("sh", "-c", READY))
        run("python", "-m", "sandbox", "up")
        run("python", "-m", "sandbox", "down")
        yield "python -m sandbox up, s", seconds(lambda: run("python", "-m", "sandbox", "up"))
        took = f"{CODE} h.run('docker run --rm toolbox true'); print(time.monotonic() - t)"
        yield "docker run, s", float(run("python", "-c", took))
        before = processor(podman, course)
        done = (
            f"jupyter-execute lessons/{LESSON}.ipynb > /tmp/done 2>&1; echo ended $? >> /tmp/done"
        )
        run("sh", "-c", f"({done}) > /dev/null 2>&1 &")
        most, deadline = 0, time.monotonic() + 900
        while "ended" not in run("cat", "/tmp/done") and time.monotonic() < deadline:
            most = max(most, podman.resident(course))
            time.sleep(1)
        said = run("cat", "/tmp/done")
        assert said.endswith("ended 0\n"), said
        yield f"memory in lesson {LESSON} at its most, MiB", most / 2**20
        yield "its processor, s (looking on included)", processor(podman, course) - before
        run("python", "-c", CODE)
        time.sleep(130)
        before = processor(podman, course)
        time.sleep(60)
        yield "processor of an idle session, %", (processor(podman, course) - before) / 60 * 100


def main():
    folder = tempfile.mkdtemp(prefix="i-", dir="/var/tmp")
    podman = Podman(Path(folder))
    try:
        podman.debian()
        print("| the image | |\n| --- | ---: |")
        built = seconds(lambda: podman.build(ROOT / "binder/Dockerfile", "course"))
        print(f"| built, s | {built:.0f} |")
        size = int(podman("image", "inspect", "--format={{.Size}}", "course"))
        print(f"| MB | {size / 1e6:.0f} |")
        podman("push", "--compress", "course", f"dir:{folder}/pushed")
        packed = sum(path.stat().st_size for path in Path(folder, "pushed").iterdir())
        print(f"| MB, compressed | {packed / 1e6:.0f} |")
        for what, figure in session(podman):
            print(f"| {what} | {figure:.1f} |", flush=True)
    finally:
        podman.close()


if __name__ == "__main__":
    main()
