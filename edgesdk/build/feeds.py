"""From pictures to model inputs, with an eye on whether the pictures are of any use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgesdk.errors import DataError
from edgesdk.pictures import Picture
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array

FEW = 32
"""Fewer pictures than this seldom show a tensor's whole range."""


@dataclass
class Feeds:
    """Iterates (picture name, {input: tensor}); keeps the first few for the layer probe."""

    pictures: Iterable[Picture]
    preprocess: Preprocess
    input: str
    keep: int
    kept: list[dict[str, Array]] = field(default_factory=list)
    count: int = 0
    varied: bool = False
    """True once a picture was seen that is not one flat colour."""

    def __iter__(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """One picture at a time."""
        for picture in self.pictures:
            tensor, _ = self.preprocess(picture.image)
            flat = picture.image.min(axis=(0, 1)) == picture.image.max(axis=(0, 1))
            self.varied = self.varied or not bool(flat.all())
            self.count += 1
            feed = {self.input: tensor}
            if len(self.kept) < self.keep:
                self.kept.append(feed)
            yield picture.name, feed

    def check(self) -> None:
        """Raise DataError when calibration cannot have learned anything."""
        if not self.varied:
            raise DataError(
                f"all {self.count} pictures are one flat colour: ranges found on them mean nothing",
                "name pictures like those the model will see",
            )
