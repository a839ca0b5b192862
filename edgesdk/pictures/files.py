"""Pictures that are files of their own, in a folder or in a tar.

Beside them may lie YOLO label files; pictures of parts are labelled by their folders (`parts.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgesdk._digest import sha256_bytes
from edgesdk._optional import require
from edgesdk.errors import DataError
from edgesdk.pictures.labels import pair_labels
from edgesdk.pictures.parts import is_mask, pair_masks, part_classes
from edgesdk.pictures.set import Loader, Picture, PictureSet
from edgesdk.pictures.stores import Store
from edgesdk.pictures.yolo import parse_labels

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


def pictures_of(store: Store, source: str, split: str) -> PictureSet:
    """The pictures of a store in natural order; `split` is a folder that must be in their path."""
    names = store.names()
    images = [n for n in names if PurePosixPath(n).suffix.lower() in SUFFIXES]
    classes = part_classes(images)
    masks = pair_masks(images) if classes else {}
    everything = [n for n in images if not (classes and is_mask(n))]
    pictures = sorted((n for n in everything if _in_split(n, split)), key=natural)
    if split and everything and not pictures:
        folders = sorted({part for n in everything for part in PurePosixPath(n).parts[:-1]})
        hint = f"folders of pictures in it: {', '.join(folders[:20])}" if folders else "it has none"
        raise DataError(f"{source}: no picture has a folder {split!r} in its path", hint)
    if not pictures:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{source}: no pictures in it", f"their names end in {kinds}")
    pairs = pair_labels(everything, (n for n in names if n.endswith(".txt")))
    labels = {n: pairs[n] for n in pictures if n in pairs}

    def load(name: str) -> Picture:
        image = decode(store.read(name))
        if classes:
            mask = decode(store.read(masks[name])).max(axis=2) > 0 if name in masks else None
            return Picture(name, image, class_id=classes[name], mask=mask)
        if not labels:
            return Picture(name, image)
        # In a labelled set, a picture without a label file has nothing on it (YOLO's convention).
        text = store.read(labels[name]).decode(errors="replace") if name in labels else ""
        return Picture(name, image, parse_labels(text, image.shape[1], image.shape[0]))

    def loaders() -> Iterator[tuple[str, Loader]]:
        return ((name, partial(load, name)) for name in pictures)

    def digest(chosen: Sequence[int] | None) -> str:
        hasher = hashlib.sha256()
        for index in range(len(pictures)) if chosen is None else chosen:
            line = f"{pictures[index]}\0{_content(store, pictures[index])}\0"
            hasher.update(line.encode(errors="surrogateescape"))
        return hasher.hexdigest()

    labelled = bool(labels or classes)
    return PictureSet(source, len(pictures), loaders, labelled, digester=digest)


def _content(store: Store, name: str) -> str:
    try:
        return sha256_bytes(store.read(name))
    except DataError:
        return "unreadable"


def decode(data: bytes) -> NDArray[np.uint8]:
    """Pixels (BGR) of an encoded picture. Raises DataError when it is none."""
    cv2 = require("cv2", "read pictures")
    if not data:
        raise DataError("the file is empty")
    try:
        image: NDArray[np.uint8] | None = cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR
        )
    except cv2.error as error:
        raise DataError(f"cannot be decoded: {error}") from error
    if image is None:
        raise DataError("cannot be decoded as a picture")
    return image


def natural(text: str) -> list[tuple[int, str]]:
    """A key to sort by in which a10 comes after a9."""
    parts = re.findall(r"\d+|\D+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _in_split(name: str, split: str) -> bool:
    return not split or split in PurePosixPath(name).parts
