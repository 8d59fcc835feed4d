"""What every benchmark needs: how often, under which sandbox id, timing and a table."""

import os
import statistics
import time

RUNS = 5
ID = f"bench{os.getpid()}"


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def table(rows):
    """Print rows of what was measured, the values of its runs, and their unit."""
    print("| what | middle | least | most |\n| --- | --- | --- | --- |")
    for what, taken, unit in rows:
        cells = (
            f"{value:.2f} {unit}" for value in (statistics.median(taken), min(taken), max(taken))
        )
        print(f"| {what} | {' | '.join(cells)} |", flush=True)
