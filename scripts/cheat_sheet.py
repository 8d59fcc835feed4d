"""Make lessons/cheat-sheet.md from the table that lesson 08 measured.

python scripts/cheat_sheet.py
"""

import json
from pathlib import Path

LESSONS = Path(__file__).parents[1] / "lessons"
SOURCE = "08-choosing.ipynb"
TARGET = LESSONS / "cheat-sheet.md"
TOP = """# Network drivers on one page

Every cell was measured in [Choose a network driver](08-choosing.ipynb): `web` serves on host-a and `client` calls it from the same network. `remote` is on host-b's network of that driver; for overlay that is the same network. The last five rows are calls to `web`, four to its own address and the last to port 8080 of host-a: a cell is the address that `web` saw the caller under, or `no` if it was not reached. `web` was started with two published ports every time, `-p 8080:80` and one for the measurement of throughput. For `ipvlan l3` each host had a route to the other's subnet.

"""


def page() -> str:
    """The page, with that lesson's widest table, which has every driver."""
    cells = json.loads((LESSONS / SOURCE).read_text(encoding="utf-8"))["cells"]
    tables = [
        "".join(output["data"]["text/markdown"])
        for cell in cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    return f"{TOP}{max(tables, key=len)}\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    print(f"wrote {TARGET.relative_to(LESSONS.parent)}")
