"""Pictures of good simulated parts, cut out by the app's own eyes: as the model will see them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgesdk._digest import sha256_bytes
from edgesdk.inspection import PartFinder, PartSettings
from edgesdk.pictures import Picture, PictureSet
from edgesdk.pictures.set import Loader, given
from edgesdk.pipeline import Packet, open_source

Crop = NDArray[np.uint8]


def parts_of(uri: str, settings: PartSettings) -> Iterator[tuple[int, int, Crop]]:
    """Each part of a simulated line: the frame of its best view, its left edge, its picture."""
    source = open_source(uri)
    finder = PartFinder(settings, *source.size)
    for frame in source:
        for part in finder(Packet(frame)).parts:
            view = part.views[0]
            yield view.frame, round(view.box[0]), view.picture


def as_set(crops: list[Crop], name: str) -> PictureSet:
    """The pictures as `edgesdk.anomaly.fit` takes them."""

    def loaders() -> Iterator[tuple[str, Loader]]:
        for i, crop in enumerate(crops):
            yield f"part {i}", partial(given, Picture(f"part {i}", crop, class_id=0))

    digest = sha256_bytes(b"".join(crop.tobytes() for crop in crops))
    return PictureSet(name, len(crops), loaders, labelled=True, digester=lambda chosen: digest)
