"""What calibration found: one range for each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk.calibration.histogram import Histogram
from edgesdk.calibration.observers import Observer, ObserverName, saturated_share


@dataclass(frozen=True)
class TensorRange:
    """The range of one tensor and how it came about."""

    amax: float
    """The magnitude that INT8 127 stands for; scale = amax / 127."""
    largest: float
    """The largest magnitude seen."""
    saturated: float
    """Share of the values beyond amax, 0..1."""
    values: int
    """How many values were counted."""


@dataclass(frozen=True)
class CalibrationTable:
    """Ranges by tensor name, from `pictures` pictures by one observer."""

    observer: ObserverName
    pictures: int
    ranges: dict[str, TensorRange]


def make_table(
    histograms: Mapping[str, Histogram], observer: Observer, pictures: int
) -> CalibrationTable:
    """Let the observer choose every range."""
    ranges = {name: _range(histogram, observer) for name, histogram in histograms.items()}
    return CalibrationTable(observer.name, pictures, ranges)


def _range(histogram: Histogram, observer: Observer) -> TensorRange:
    amax = observer.amax(histogram)
    saturated = saturated_share(histogram, amax)
    return TensorRange(amax, histogram.largest, saturated, histogram.total)
