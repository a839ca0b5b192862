"""What both models are run on, read once and kept small for as long as memory is allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Placement
from edgesdk.pictures import PictureSet
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, FeedSource

WHOLE = Placement(1.0, 1.0, 0.0, 0.0, 0, 0)
"""Where there is no picture, only tensors."""
Feed = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture (or set of tensors) and what is known to be on it."""

    index: int
    name: str
    content: NDArray[np.uint8] | dict[str, Array]
    """The resized picture, shape (height, width, 3), or the inputs themselves."""
    placement: Placement = WHOLE
    truth: Detections | None = None
    class_id: int | None = None

    @property
    def nbytes(self) -> int:
        """Of `content`."""
        if isinstance(self.content, dict):
            return sum(value.nbytes for value in self.content.values())
        return self.content.nbytes


class Samples:
    """Iterates the samples; `again` gives any of them once more without reading what is kept."""

    def __init__(
        self,
        source: PictureSet | FeedSource,
        preprocess: Preprocess | None,
        input_name: str,
        cache_bytes: int,
    ) -> None:
        """`cache_bytes` bounds what is kept; the others are read again when wanted.

        `preprocess` is for pictures only.
        """
        self._source = source
        self._preprocess = preprocess
        self._input = input_name
        self._free = cache_bytes
        self._kept: dict[int, Sample] = {}

    @property
    def source(self) -> str:
        """Where they come from, for people."""
        return self._source.source

    @property
    def count(self) -> int | None:
        """How many there are, unreadable ones included; None: not known beforehand."""
        return self._source.count

    @property
    def skipped(self) -> dict[str, str]:
        """Name -> why it could not be read, of those met so far."""
        return dict(self._source.skipped)

    @property
    def labelled(self) -> bool:
        """True where boxes or classes are known."""
        return isinstance(self._source, PictureSet) and self._source.labelled

    def __iter__(self) -> Iterator[Sample]:
        """All that can be read, in a fixed order."""
        for sample in self._read():
            if sample.index not in self._kept and sample.nbytes <= self._free:
                self._kept[sample.index] = sample
                self._free -= sample.nbytes
            yield sample

    def again(self, wanted: Collection[int]) -> Iterator[Sample]:
        """Those with these indices; the kept ones first."""
        missing = set()
        for index in wanted:
            if index in self._kept:
                yield self._kept[index]
            else:
                missing.add(index)
        if missing:
            yield from (sample for sample in self._read() if sample.index in missing)

    def feed(self, sample: Sample) -> Feed:
        """The model's inputs for one sample."""
        if isinstance(sample.content, dict):
            return sample.content
        assert self._preprocess is not None  # samples that are pictures came through it
        return {self._input: self._preprocess.normalize(sample.content)}

    def _read(self) -> Iterator[Sample]:
        if not isinstance(self._source, PictureSet):
            for index, (name, feed) in enumerate(self._source):
                yield Sample(index, name, dict(feed))
            return
        assert self._preprocess is not None
        for index, picture in enumerate(self._source):
            placed, placement = self._preprocess.place(picture.image)
            content = np.ascontiguousarray(placed)  # a crop would keep the whole picture alive
            yield Sample(index, picture.name, content, placement, picture.truth, picture.class_id)
