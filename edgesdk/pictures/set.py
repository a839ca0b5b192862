"""A set of pictures: they come one at a time and in a fixed order, so memory does not grow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk._digest import sha256_bytes, sha256_file
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
    """Its class, in a set for classification or of parts (0: good)."""
    mask: NDArray[np.bool_] | None = None
    """Where a defect is, shape (H, W), in a set of parts that says so."""


Loader = Callable[[], Picture]
"""Reads one picture; raises DataError when it cannot."""


Digester = Callable[[Sequence[int] | None], str]
"""SHA-256 of what the pictures with these numbers (None: all) are read from."""


def given(picture: Picture) -> Picture:
    """The picture itself: with functools.partial, the loader of one already read."""
    return picture


def file_digest(path: Path, chosen: Sequence[int] | None) -> str:
    """The Digester of pictures that lie in one file: its own SHA-256, and the pictures' numbers.

    Raises DataError when the file cannot be read.
    """
    try:
        content = sha256_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return sha256_bytes(f"{content} {'all' if chosen is None else list(chosen)}".encode())


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
    digester: Digester | None = None
    """How the content is named without decoding it; None: by the decoded pixels."""

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
        numbers = [int(i * step) for i in range(limit)]
        wanted = frozenset(numbers)

        def loaders() -> Iterator[tuple[str, Loader]]:
            for index, item in enumerate(self.loaders()):
                if index in wanted:
                    yield item
                if index >= limit * step:
                    return

        def digest(chosen: Sequence[int] | None) -> str:
            assert self.digester is not None
            return self.digester(numbers if chosen is None else [numbers[i] for i in chosen])

        digester = digest if self.digester else None
        return PictureSet(self.source, limit, loaders, self.labelled, digester=digester)

    def digest(self) -> str:
        """SHA-256 that names the pictures in their order: to find again what was made of them.

        Files and members are hashed as they are; of a video or an npz it is that of the file and
        the pictures' numbers. Labels do not count. Raises DataError when nothing can be read.
        """
        if self.digester:
            return self.digester(None)
        hasher = hashlib.sha256()
        for picture in self:
            pixels = np.ascontiguousarray(picture.image)
            hasher.update(f"{picture.name}\0{pixels.shape}\0".encode(errors="surrogateescape"))
            hasher.update(pixels.tobytes())
        return hasher.hexdigest()

    def _nothing_readable(self) -> DataError:
        name, reason = next(iter(self.skipped.items()), ("", "it is empty"))
        return DataError(
            f"{self.source}: none of {len(self.skipped)} pictures can be read ({name}: {reason})",
            "name a folder, tar, npz or video with readable pictures",
        )
