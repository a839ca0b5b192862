"""Pictures that are files of their own, in a folder or in a tar, with YOLO label files."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.errors import DataError
from edgesdk.pictures.labels import pair_labels
from edgesdk.pictures.set import Loader, Picture, PictureSet
from edgesdk.pictures.yolo import parse_labels

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


class Store(Protocol):
    """Named files, however they are kept."""

    def names(self) -> list[str]:
        """Paths inside the store, with forward slashes."""
        ...

    def read(self, name: str) -> bytes:
        """Content of one file. Raises DataError when it cannot be read."""
        ...


class FolderStore:
    """A folder and, where it is .../images/..., the .../labels/... beside it."""

    def __init__(self, root: Path) -> None:
        self._roots = [root, *_label_folder(root.resolve())]

    def names(self) -> list[str]:
        """Files of all subfolders."""
        found = ((r, p) for r in self._roots for p in r.rglob("*") if p.is_file())
        return [p.relative_to(root).as_posix() for root, p in found]

    def read(self, name: str) -> bytes:
        """Content of one file."""
        path = next((r / name for r in self._roots if (r / name).is_file()), self._roots[0] / name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from error


class TarStore:
    """A tar, read by the members' offsets; nothing is extracted to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _reading(path), tarfile.open(path) as archive:
            self._members = {m.name: m for m in archive if m.isfile()}

    def names(self) -> list[str]:
        """Plain files of the archive."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Content of one member."""
        with _reading(self._path), tarfile.open(self._path) as archive:
            file = archive.extractfile(self._members[name])
            return file.read() if file else b""


def pictures_of(store: Store, source: str, split: str) -> PictureSet:
    """The pictures of a store in natural order; `split` is a folder that must be in their path."""
    names = store.names()
    everything = [n for n in names if PurePosixPath(n).suffix.lower() in SUFFIXES]
    pictures = sorted((n for n in everything if _in_split(n, split)), key=natural)
    if not pictures:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{source}: no pictures in it", f"their names end in {kinds}")
    pairs = pair_labels(everything, (n for n in names if n.endswith(".txt")))
    labels = {n: pairs[n] for n in pictures if n in pairs}

    def load(name: str) -> Picture:
        image = decode(store.read(name))
        if not labels:
            return Picture(name, image)
        # In a labelled set, a picture without a label file has nothing on it (YOLO's convention).
        text = store.read(labels[name]).decode(errors="replace") if name in labels else ""
        return Picture(name, image, parse_labels(text, image.shape[1], image.shape[0]))

    def loaders() -> Iterator[tuple[str, Loader]]:
        return ((name, partial(load, name)) for name in pictures)

    return PictureSet(source, len(pictures), loaders, labelled=bool(labels))


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


def _label_folder(root: Path) -> list[Path]:
    parts = list(root.parts)
    if "images" not in parts:
        return []
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    folder = Path(*parts)
    return [folder] if folder.is_dir() else []


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as a tar: {error}", "copy it again") from error
