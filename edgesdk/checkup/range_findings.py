"""Findings about the ranges of INT8 tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgesdk.bundle import Calibration, Range
from edgesdk.checkup.finding import Finding, counted, named
from edgesdk.checkup.thumbnails import dominant_pictures, is_dominated

MUCH_SATURATED = 0.01
GROWING, GROWING_TENSORS = 0.15, 0.1
"""Ranges still grow when so large a share of the tensors would have had so much smaller a range
with half the pictures. YOLOX-nano: up to 32 pictures; ResNet-20: 16; EfficientNet-Lite0, whose
ranges end at 6: 4; none of them at 64 or 128."""
STRONG_RATIO = 3.0
MANY_DOMINATED = 0.1
MANY_DEAD = 0.5


def range_findings(calibration: Calibration) -> Iterator[Finding]:
    """All about ranges."""
    ranges = calibration.ranges
    yield from _saturated(ranges)
    yield from _growing(ranges)
    yield from _dead(ranges)
    yield from _dominated(ranges)


def _saturated(ranges: Mapping[str, Range]) -> Iterator[Finding]:
    much = {n: r.saturated for n, r in ranges.items() if r.saturated > MUCH_SATURATED}
    if much:
        worst = sorted(much, key=lambda name: -much[name])
        yield Finding(
            "saturation",
            "warning",
            f"{counted(len(much), 'tensor')} of {len(ranges)} lose more than "
            f"{MUCH_SATURATED:.0%} of their values beyond amax; most in {worst[0]}: "
            f"{much[worst[0]]:.1%}",
            "Large values are cut off, and large values often carry the answer.",
            "try another observer (see Recipes), or leave the layers that read them in float",
            tuple(worst),
        )


def _growing(ranges: Mapping[str, Range]) -> Iterator[Finding]:
    shares = {
        name: found.evidence.half_share
        for name, found in ranges.items()
        if found.evidence and found.evidence.half_share is not None
    }
    if not shares:
        return
    growth = 1 - float(np.quantile(list(shares.values()), GROWING_TENSORS))
    if growth > GROWING:
        slowest = sorted(shares, key=lambda name: shares[name])
        yield Finding(
            "ranges-growing",
            "warning",
            f"with half the pictures the largest value of a tenth of the tensors would be "
            f"{growth:.0%} smaller or more; of {slowest[0]} {1 - shares[slowest[0]]:.0%}",
            "Ranges still grow with each picture, so new pictures will bring larger values yet.",
            "calibrate with twice as many pictures and look whether this figure falls",
            tuple(slowest[:8]),
        )


def _dead(ranges: Mapping[str, Range]) -> Iterator[Finding]:
    zero = [name for name, found in ranges.items() if found.largest == 0]
    if zero:
        yield Finding(
            "zero-tensors",
            "warning",
            f"{counted(len(zero), 'tensor')} were zero on every picture: {named(zero)}",
            "The layers that read them have no range of their own, and add nothing here.",
            "look whether the model was exported whole, and whether the pictures reach this part",
            tuple(zero),
        )
    dead = {
        name: found.evidence
        for name, found in ranges.items()
        if found.evidence and found.evidence.dead and found.largest > 0
    }
    if dead:
        total = sum(evidence.dead for evidence in dead.values())
        worst = sorted(dead, key=lambda name: -dead[name].dead / dead[name].channels)
        first = dead[worst[0]]
        many = first.dead > MANY_DEAD * first.channels
        yield Finding(
            "dead-channels",
            "warning" if many else "info",
            f"{counted(total, 'channel')} in {counted(len(dead), 'tensor')} were zero on every "
            f"picture; most in {worst[0]}: {first.dead} of {first.channels}",
            "A trained net often has some. Many in one tensor: its input is not what it was "
            "trained on, or the pictures show only a part of what it knows.",
            "nothing for a few; for many, check preprocessing and pictures first",
            tuple(worst),
        )


def _dominated(ranges: Mapping[str, Range]) -> Iterator[Finding]:
    tensors = {n: r.evidence for n, r in ranges.items() if r.evidence and is_dominated(r)}
    if not tensors:
        return
    pictures = dominant_pictures(ranges)
    worst = sorted(tensors, key=lambda name: -(tensors[name].peak_ratio or 0))
    ratio, picture = tensors[worst[0]].peak_ratio or 0.0, tensors[worst[0]].peak_picture
    strong = ratio >= STRONG_RATIO or len(tensors) > MANY_DOMINATED * len(ranges)
    yield Finding(
        "one-picture-ranges",
        "warning" if strong else "info",
        f"{counted(len(tensors), 'range')} of {len(ranges)} "
        f"{'rests' if len(tensors) == 1 else 'rest'} on one picture: of {worst[0]}, "
        f"{picture} has {ratio:.1f} times the largest value of any other",
        "INT8 levels are spent on values that one picture alone has shown.",
        f"look at {named(list(pictures))}: leave it out if it is broken or unlike what the model "
        "will see, add more of its kind if it is not; or take an observer that cuts off outliers",
        tuple(worst),
        pictures,
    )
