"""Finds outputs in which quantities of very different size are joined, and cuts them apart.

A detector exported in one piece gives boxes (0..640) and scores (0..1) in one tensor. One figure
over both is that of the boxes: with all scores at 0 it still reads 25 dB. Where no decoder knows
the parts, they show in the channels' magnitudes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgesdk.tensors import Array

SEPARATION = 16.0
"""The smallest channel of the large kind is so many times larger than the largest of the small."""
MAX_GROUPS = 4
"""More parts than this are no layout that someone chose."""
MIN_POSITIONS = 16
"""A channel's magnitude is known from so many values: the logits of a classifier are too few."""


@dataclass(frozen=True)
class Cut:
    """Where one output is cut."""

    axis: int
    bounds: tuple[int, ...]
    """First channel of each part, and one past the last: (0, 4, 84)."""

    def parts(self, name: str, value: Array) -> dict[str, Array]:
        """The parts by name, e.g. "output[0:4]" and "output[4:84]"; views."""
        pairs = zip(self.bounds[:-1], self.bounds[1:], strict=True)
        index: list[slice] = [slice(None)] * value.ndim
        found = {}
        for start, stop in pairs:
            index[self.axis] = slice(start, stop)
            found[f"{name}[{start}:{stop}]"] = value[tuple(index)]
        return found


def find_cut(magnitude: Array) -> Cut | None:
    """The cut of a joined output, or None where it looks like one quantity.

    `magnitude`: largest absolute value at each position over some pictures, in the output's
    shape. Along each axis but a leading 1, the channels' magnitudes are sorted; a gap of
    SEPARATION between neighbours parts them into large and small ones. It is a cut when those
    form at most MAX_GROUPS runs. The fewest runs win, then the widest gap, then the shorter axis.
    """
    best: tuple[tuple[int, float, int], Cut] | None = None
    for axis in range(1, magnitude.ndim):
        others = tuple(i for i in range(magnitude.ndim) if i != axis)
        if magnitude.size < MIN_POSITIONS * magnitude.shape[axis]:
            continue
        for bounds, gap in _candidates(magnitude.max(axis=others)):
            rank = (len(bounds), -gap, magnitude.shape[axis])
            if best is None or rank < best[0]:
                best = (rank, Cut(axis, bounds))
    return best[1] if best else None


def cut_outputs(outputs: Mapping[str, Array], cuts: Mapping[str, Cut]) -> dict[str, Array]:
    """All outputs, those with a cut in parts."""
    found: dict[str, Array] = {}
    for name, value in outputs.items():
        found |= cuts[name].parts(name, value) if name in cuts else {name: value}
    return found


def _candidates(channels: Array) -> list[tuple[tuple[int, ...], float]]:
    """Ways to cut one axis, each with the gap that parts large from small."""
    used = np.flatnonzero(channels > 0)  # a dead channel has no magnitude to judge it by
    if len(used) < 2:
        return []
    ordered = np.sort(channels[used].astype(np.float64))
    gaps = ordered[1:] / ordered[:-1]
    found = []
    for i in np.flatnonzero(gaps >= SEPARATION):
        large = channels[used] > ordered[i]
        changes = used[1:][large[1:] != large[:-1]]
        if len(changes) < MAX_GROUPS:
            bounds = (0, *(int(c) for c in changes), len(channels))
            found.append((bounds, float(gaps[i])))
    return found
