"""What one worker thread does with the outputs of the watched model: keep a few, count them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import prod

import numpy as np

from edgesdk.calibration.moments import Moments
from edgesdk.calibration.statistics import Statistics, TensorStatistics
from edgesdk.calibration.watch import Point, Watch
from edgesdk.errors import DataError
from edgesdk.tensors import Array, Floats

BATCH = 16
"""Pictures counted together: numpy's calls cost as much as its work on one picture's sample."""
BATCH_BYTES = 24 << 20
"""Fewer, where their samples take more than this."""


class Counter:
    """Statistics of the pictures that one thread ran."""

    def __init__(self, watch: Watch) -> None:
        self._points = watch.points
        self.start_anew()
        self._pending: list[tuple[int, str]] = []
        self._kept: dict[str, list[Array]] = defaultdict(list)
        """Tensor -> one row, of shape (1, N), for each pending picture."""
        self._bytes = 0

    def start_anew(self) -> None:
        """Forget what was counted."""
        self.statistics = Statistics({p.tensor: TensorStatistics(p.axis) for p in self._points})
        self.done: set[int] = set()
        """Numbers of the pictures that are in `statistics`."""

    def add(
        self, index: int, picture: str, feed: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> None:
        """Take what the watched model gave for a picture, and count when enough has gathered.

        Raises DataError, naming a picture and a tensor, for NaN or infinity; then no picture of
        the batch is counted.
        """
        for point in self._points:
            row = _row(point, feed[point.tensor]) if point.is_input else outputs[point.output]
            self._kept[point.tensor].append(row)
            self._bytes += row.nbytes
        self._pending.append((index, picture))
        if len(self._pending) >= BATCH or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Count all that was kept. Raises DataError as `add` does."""
        pending, kept = self._pending, self._kept
        self._pending, self._kept, self._bytes = [], defaultdict(list), 0
        if not pending:
            return
        pictures = [picture for _, picture in pending]
        for point in self._points:
            _check(point, kept[point.tensor], pictures)
        for point in self._points:
            # Taken out, so that not all tensors' rows are there a second time.
            batch = _Batch(point, np.concatenate(kept.pop(point.tensor)))
            batch.count(self.statistics.tensors[point.tensor], pictures)
        self.statistics.pictures += len(pictures)
        self.done.update(index for index, _ in pending)


def _check(point: Point, rows: list[Array], pictures: list[str]) -> None:
    """Raise DataError for NaN or infinity, with the first picture that has it."""
    telling = prod(point.shape) if point.extremes else 0
    fine = np.isfinite(np.concatenate([row[:, telling:] for row in rows])).all(axis=1)
    if not fine.all():
        raise DataError(
            f"the float model gives NaN or infinity in the tensor {point.tensor!r} "
            f"for the picture {pictures[int(np.argmin(fine))]}",
            "check the preprocessing and the picture; the model itself has finite weights",
        )


class _Batch:
    """The values of one tensor in some pictures, brought into one form."""

    def __init__(self, point: Point, joined: Floats) -> None:
        """`joined` has one row for each picture."""
        self.point = point
        size = prod(point.shape)
        self.pictures, self.channels = len(joined), point.shape[point.axis]
        sample = joined[:, :size].reshape(self.pictures, *point.shape)
        by_channel = np.moveaxis(sample, point.axis + 1, 0)
        self.rows: Floats = np.ascontiguousarray(by_channel.reshape(self.channels, -1))
        """Shape (channels, pictures * N)."""
        parts = np.split(joined[:, size:], len(point.extremes) or 1, axis=1)
        self.exact: dict[str, Floats] = {
            role: part.reshape(self.pictures, -1, self.channels)
            for role, part in zip(point.extremes, parts, strict=False)
        }
        """Each of shape (pictures, batch of the model, channels)."""
        self.peaks = self._largest((1, 2), sample.reshape(self.pictures, -1))
        """The largest magnitude of each picture."""
        self.largest = self._largest((0, 1), self.rows)
        """The largest magnitude of each channel."""

    def count(self, statistics: TensorStatistics, pictures: list[str]) -> None:
        """Add the batch to the tensor's statistics."""
        statistics.histogram.raise_largest(self.largest)
        statistics.histogram.count(self.rows)
        for picture, peak in zip(pictures, self.peaks.tolist(), strict=True):
            statistics.peaks.add(picture, peak)
        if self.point.is_input:
            statistics.moments = statistics.moments or Moments()
            values = self.rows.reshape(self.channels, self.pictures, -1)
            for i in range(self.pictures):
                low, high = (self.exact[role][i, 0] for role in ("low", "high"))
                statistics.moments.add(values[:, i], low, high)

    def _largest(self, axes: tuple[int, int], sample: Floats) -> Floats:
        """Over these axes of the exact extremes; over the last one of the sample where these are
        not known, or the graph bounds the tensor from below."""
        high = self.exact["high"].max(axis=axes) if "high" in self.exact else sample.max(axis=1)
        magnitudes: Floats = high
        if "low" in self.exact:
            magnitudes = np.maximum(high, -self.exact["low"].min(axis=axes))
        elif self.point.bound < 0:
            magnitudes = np.maximum(high, -sample.min(axis=1))
        return np.abs(magnitudes)


def _row(point: Point, values: Array) -> Floats:
    """Of a feed only a sample is kept, and its extremes: it is large."""
    others = tuple(i for i in range(values.ndim) if i != point.axis)
    taken = values[tuple(slice(stride // 2, None, stride) for stride in point.strides)]
    parts = (taken.ravel(), values.max(axis=others), values.min(axis=others))
    return np.concatenate(parts).astype(np.float32, copy=False)[None]
