"""The whole table of cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.lines.cases import Case
from benchmarks.lines.clips import bottles, people, people_lines, road
from benchmarks.lines.harms import harmed, simulated, slow
from benchmarks.tracking.detections import pets_truth

SIMULATED = (11, 12, 13)


def cases(assets: Path, folder: Path) -> list[Case]:
    """All of them, from the recordings in the folder."""
    true = pets_truth(assets)
    real = [*road(folder), *people(true, folder)]
    slower = [
        replace(slow(case, every), group=f"{case.group}, slower cameras")
        for case in real
        if case.name.endswith("from 0.3")
        for every in (2, 3, 4)
    ]
    return [
        *real,
        *slower,
        *harmed("true people", true, 10.0, people_lines(true)),
        *(case for seed in SIMULATED for case in simulated(seed)),
        *bottles(folder),
    ]
