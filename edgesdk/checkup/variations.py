"""Other ways to prepare a picture: those that are mistaken for each other in practice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgesdk.bundle.evidence import Change
from edgesdk.preprocess import Preprocess, Resize

SAME = 0.05
"""Value ranges whose ends are closer than this share of the range count as equal."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Variation:
    """One way to prepare a picture."""

    change: Change
    title: str
    preprocess: Preprocess


@dataclass(frozen=True)
class _Values:
    title: str
    scale: float
    mean: Triple = (0.0, 0.0, 0.0)
    """In the order R, G, B."""
    std: Triple = (1.0, 1.0, 1.0)


_CONVENTIONS = (
    _Values("pixel values 0..255 (no scale, mean or std)", 1.0),
    _Values("pixel values 0..1 (scale 1/255)", 1 / 255),
    _Values("pixel values -1..1 (mean and std 127.5)", 1.0, (127.5,) * 3, (127.5,) * 3),
    _Values(
        "ImageNet's mean and std (scale 1/255, mean .485 .456 .406, std .229 .224 .225)",
        1 / 255,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    ),
)


def variations(given: Preprocess) -> Iterator[Variation]:
    """What the spec says, first, and then each change of one thing in it."""
    yield Variation("none", "as the spec says", given)
    yield Variation("color", f"colours swapped to {_other(given)}", swapped(given))
    for values in _CONVENTIONS:
        changed = _with_values(given, values)
        if not _alike(value_range(given), value_range(changed)):
            yield Variation("range", values.title, changed)
    other: Resize = "letterbox" if given.resize == "stretch" else "stretch"
    changed = replace(given, resize=other, short_side=0)
    yield Variation("resize", f"resized by {other}", changed)


def swapped(given: Preprocess) -> Preprocess:
    """The other colour order; mean and std go with their colour."""
    return replace(given, color=_other(given), mean=_reversed(given.mean), std=_reversed(given.std))


def value_range(given: Preprocess) -> tuple[Triple, Triple]:
    """What a channel of 0 and one of 255 become, in the model's order."""
    low = tuple((0.0 - m) / s for m, s in zip(given.mean, given.std, strict=True))
    high = tuple((255 * given.scale - m) / s for m, s in zip(given.mean, given.std, strict=True))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _alike(one: tuple[Triple, Triple], two: tuple[Triple, Triple]) -> bool:
    first, second = np.array(one), np.array(two)
    widths = np.maximum(np.ptp(first, axis=0), np.ptp(second, axis=0))
    return bool((np.abs(first - second) <= SAME * widths).all())


def _with_values(given: Preprocess, values: _Values) -> Preprocess:
    rgb = given.color == "rgb"
    mean, std = (t if rgb else _reversed(t) for t in (values.mean, values.std))
    return replace(given, scale=values.scale, mean=mean, std=std)


def _other(given: Preprocess) -> Literal["rgb", "bgr"]:
    return "bgr" if given.color == "rgb" else "rgb"


def _reversed(values: Triple) -> Triple:
    return values[2], values[1], values[0]
