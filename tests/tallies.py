"""A table of the attempts to break the library, and their results."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

COLUMNS = (
    "cases",
    "faults",
    "kills",
    "acknowledged",
    "lost",
    "duplicated",
    "orphaned",
    "misplaced",
    "other 5xx",
)


def report(tallies):
    """Return the table's lines; also write the numbers to the file ``TEST_TALLIES``, if it is set.

    Args:
        tallies: For each, the name of a check, of a database, and numbers by the names of columns.
    """
    tallies = [*tallies]
    if path := os.environ.get("TEST_TALLIES"):
        with Path(path).open("a") as file:
            file.writelines(json.dumps(each) + "\n" for each in tallies)
    return table(tallies)


def table(tallies):
    rows, remarks = {}, []
    for check, database, counts in tallies:
        name = f"{check}, {database}"
        remarks += [f"{name}: {counts[each]}" for each in counts if each == "remark"]
        rows.setdefault(name, Counter()).update(
            {each: counts[each] for each in COLUMNS if each in counts}
        )
    rows = dict(sorted(rows.items()))
    if rows:
        rows["in all"] = {each: sum(row[each] for row in rows.values()) for each in COLUMNS}
    cells = [["", *COLUMNS], *([name, *map(row.get, COLUMNS)] for name, row in rows.items())]
    return [*("".join(_cells(*each)) for each in cells), *remarks] if rows else []


def _cells(name, *numbers):
    yield f"{name:30}"
    for column, number in zip(COLUMNS, numbers, strict=True):
        yield f"{'' if number is None else number:>{len(column) + 2}}"


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text().splitlines()
    print("\n".join(table(map(json.loads, lines))))  # noqa: T201  # what it is run for
