"""A set of pictures: they come one at a time and in a fixed order, so memory does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import DataError


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture and, where the set has it, what is known to be on it."""

    name: str
    image: NDArray[np.uint8]
    """BGR, shape (H, W, 3), 0..255."""
    truth: Detections | None = None
    """The labelled boxes, in pixels; None where the set has no boxes at all."""
    class_id: int | None = None
    """Its class, in a set for classification."""


Loader = Callable[[], Picture]
"""Reads one picture; raises DataError when it cannot."""


def given(picture: Picture) -> Picture:
    """The picture itself: with functools.partial, the loader of one already read."""
    return picture


@dataclass
class PictureSet:
    """Pictures in a fixed order: iterating twice gives the same ones.

    One that cannot be read is left out and stands in `skipped`, never silently dropped.
    """

    source: str
    """Where they come from, for people."""
    count: int | None
    """How many there are, unreadable ones included; None: not known beforehand."""
    loaders: Callable[[], Iterable[tuple[str, Loader]]]
    """Name and loader of each picture, anew for each iteration."""
    labelled: bool = False
    """True where the pictures carry boxes or classes."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Name -> reason of the pictures that could not be read so far."""

    def __iter__(self) -> Iterator[Picture]:
        """The readable pictures. Raises DataError after the last when there was not one."""
        good = 0
        for name, load in self.loaders():
            try:
                picture = load()
            except DataError as error:
                self.skipped[name] = error.message
                continue
            good += 1
            yield picture
        if not good:
            raise self._nothing_readable()

    def thinned(self, limit: int) -> PictureSet:
        """At most `limit` of the pictures, evenly spread; the same set when it is small enough.

        Of a set of unknown length the first ones are taken.
        """
        if self.count is not None and self.count <= limit:
            return self
        step = self.count / limit if self.count else 1.0
        wanted = {int(i * step) for i in range(limit)}

        def loaders() -> Iterator[tuple[str, Loader]]:
            for index, item in enumerate(self.loaders()):
                if index in wanted:
                    yield item
                if index >= limit * step:
                    return

        return PictureSet(self.source, limit, loaders, self.labelled)

    def _nothing_readable(self) -> DataError:
        name, reason = next(iter(self.skipped.items()), ("", "it is empty"))
        return DataError(
            f"{self.source}: none of {len(self.skipped)} pictures can be read ({name}: {reason})",
            "name a folder, tar, npz or video with readable pictures",
        )
