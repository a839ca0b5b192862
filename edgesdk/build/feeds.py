"""What calibration iterates: named feeds of a model's inputs, made from pictures or arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgesdk._digest import sha256_bytes
from edgesdk._optional import require
from edgesdk.errors import DataError
from edgesdk.pictures import Picture, PictureSet
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, TensorSpec

FEW = 32
"""Fewer pictures than this seldom show a tensor's whole range."""


@dataclass
class PictureFeeds:
    """Pictures, prepared for the one picture input of a model.

    Where the model's batch is fixed at N, each feed holds N pictures and its name lists them all.
    A last group that is too small is filled up with its own pictures again: a histogram counts
    those twice, a largest magnitude does not change.
    """

    pictures: PictureSet
    preprocess: Preprocess
    inputs: tuple[TensorSpec, ...]
    """The model's: one, float32 of shape (N, 3, H, W)."""
    samples: int = 0
    """Readable pictures of the last whole iteration."""

    @property
    def source(self) -> str:
        """Where the pictures come from."""
        return self.pictures.source

    @property
    def count(self) -> int | None:
        """Runs of the model for all pictures."""
        count = self.pictures.count
        return None if count is None else -(-count // self.batch)

    @property
    def skipped(self) -> dict[str, str]:
        """Pictures that could not be read so far, and why."""
        return self.pictures.skipped

    @property
    def batch(self) -> int:
        """Pictures in one run."""
        return int(self.inputs[0].shape[0])

    def __iter__(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """One group of pictures at a time.

        Raises DataError, after the last, when each picture was one flat colour.
        """
        varied, count = False, 0
        group: list[tuple[str, Array]] = []
        for picture in self.pictures:
            varied, count = varied or _is_varied(picture), count + 1
            group.append((picture.name, self.preprocess(picture.image)[0]))
            if len(group) == self.batch:
                yield self._feed(group)
                group = []
        if group:
            yield self._feed(group)
        self.samples = count
        if not varied:
            raise DataError(
                f"all {count} pictures are one flat colour: ranges found on them mean nothing",
                "name pictures like those the model will see",
            )

    def thinned(self, limit: int) -> PictureFeeds:
        """At most `limit` of the pictures, evenly spread."""
        few = self.pictures.thinned(limit)
        if few is self.pictures:
            return self
        return PictureFeeds(few, self.preprocess, self.inputs)

    def digest(self) -> str:
        """SHA-256 over the pictures as they are stored, and how they are prepared."""
        decoder = str(require("cv2", "read pictures").__version__)
        facts = (self.pictures.digest(), self.preprocess, self.inputs, decoder)
        return sha256_bytes(repr(facts).encode())

    def _feed(self, group: list[tuple[str, Array]]) -> tuple[str, dict[str, Array]]:
        name = ", ".join(name for name, _ in group)
        if self.batch == 1:
            return name, {self.inputs[0].name: group[0][1]}
        filled = [group[i % len(group)][1] for i in range(self.batch)]
        return name, {self.inputs[0].name: np.concatenate(filled)}


def digest_of(feeds: Iterable[tuple[str, Mapping[str, Array]]]) -> str:
    """SHA-256 over names, dtypes, shapes and values, in order."""
    digest = hashlib.sha256()
    for name, feed in feeds:
        digest.update(f"{name}\0".encode())
        for key in sorted(feed):
            value = np.ascontiguousarray(feed[key])
            digest.update(f"{key}\0{value.dtype.str}{value.shape}\0".encode())
            digest.update(value.data)
    return digest.hexdigest()


def _is_varied(picture: Picture) -> bool:
    flat = picture.image.min(axis=(0, 1)) == picture.image.max(axis=(0, 1))
    return not bool(flat.all())
