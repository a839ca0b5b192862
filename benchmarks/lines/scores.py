"""What a counter missed and what it counted on top, by case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from benchmarks.crossings import Passed
from benchmarks.lines.cases import Case, Tally, compare

Row = tuple[int, int, int]
"""True crossings, missed, extra."""


def scored(
    table: Sequence[Case], counted: Callable[[Case], list[list[Passed]]]
) -> dict[str, dict[str, Row]]:
    """By group and name of the case."""
    rows: dict[str, dict[str, Row]] = {}
    for case in table:
        total = Tally()
        for line, found in zip(case.lines, counted(case), strict=True):
            total += compare(case, line, found)[0]
        rows.setdefault(case.group, {})[case.name] = (total.true, total.missed, total.extra)
    sys.stderr.write(f"{ {group: summed(each) for group, each in rows.items()} }\n")
    return rows


def summed(rows: dict[str, Row]) -> Row:
    """Over the cases of a group."""
    true, missed, extra = (sum(column) for column in zip(*rows.values(), strict=True))
    return true, missed, extra
