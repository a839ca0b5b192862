"""What one pass over the pictures found: small, mergeable, the same for any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgesdk.calibration.histogram import ChannelHistogram, Histogram, Ints
from edgesdk.calibration.moments import Moments
from edgesdk.calibration.peaks import Peaks


class TensorStatistics:
    """Of one tensor. Merging is associative and commutative, to the last bit."""

    def __init__(self, axis: int) -> None:
        """`axis` of the tensor that holds the channels."""
        self.histogram = ChannelHistogram(axis)
        """Counts of a sample of the values; `largest` is that of all values (see `watch`)."""
        self.peaks = Peaks()
        """Of the pictures' own largest magnitudes."""
        self.moments: Moments | None = None
        """Only of a model's inputs."""

    def merge(self, other: TensorStatistics) -> None:
        """Take in what was seen elsewhere. Raises ValueError for another number of channels."""
        if len(other.histogram.counts):
            self.histogram.merge(other.histogram)
        self.peaks.merge(other.peaks)
        if other.moments is not None:
            self.moments = self.moments or Moments()
            self.moments.merge(other.moments)

    def whole(self, shifts: Ints | None = None) -> Histogram:
        """All channels together, channel c multiplied by 2**shifts[c]; None: as they are.

        Peaks are not known by channel: with shifts, their mean is taken to be the same share of
        the largest magnitude as it is without.
        """
        histogram = self.histogram.whole(shifts)
        largest = float(self.histogram.largest.max(initial=0.0))
        if not largest or not self.peaks.pictures:
            return histogram
        return replace(histogram, mean_peak=self.peaks.mean / largest * histogram.largest)


@dataclass
class Statistics:
    """What one pass found."""

    tensors: Mapping[str, TensorStatistics]
    pictures: int = 0
    """How many were seen."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Name -> reason of the pictures that could not be read, where the caller told."""
    fingerprint: str = ""
    """Of the pass, where it has one: what it is cached under."""

    def merge(self, other: Statistics) -> None:
        """Take in what another pass over other pictures found of the same tensors."""
        for name, mine in self.tensors.items():
            mine.merge(other.tensors[name])
        self.pictures += other.pictures
        self.skipped |= other.skipped
