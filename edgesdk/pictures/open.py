"""Chooses how to read a set of pictures from what stands at a path."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edgesdk.errors import DataError
from edgesdk.pictures.files import SUFFIXES, pictures_of
from edgesdk.pictures.npz import open_npz
from edgesdk.pictures.set import Loader, Picture, PictureSet, file_digest, given
from edgesdk.pictures.stores import FolderStore, TarStore, is_tar
from edgesdk.video import VIDEO_SUFFIXES, read_video


def open_pictures(source: str | Path) -> PictureSet:
    """Open a folder, .tar, .npz (arrays `X` and, for classes, `Y`) or video.

    `path#NAME` keeps only the pictures with a folder NAME in their path, so that
    "coco.tar#val2017" is one split of a data set. Raises DataError when nothing is there or no
    picture is in it.
    """
    text, _, split = str(source).partition("#")
    path = Path(text)
    if not _exists(path):
        raise DataError(f"{path}: no such file or folder", "name a folder, tar, npz or video")
    if path.is_dir():
        return pictures_of(FolderStore(path), str(source), split)
    if path.suffix.lower() == ".npz":
        return open_npz(path)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _open_video(path)
    if path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path}: one picture is not a set", f"name its folder: {path.parent}")
    if is_tar(path):
        return pictures_of(TarStore(path), str(source), split)
    kinds = ", ".join(sorted(VIDEO_SUFFIXES))
    raise DataError(f"{path}: not a folder, tar, npz or video", f"a video's name ends in {kinds}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error


def _open_video(path: Path) -> PictureSet:
    video = read_video(path)

    def loaders() -> Iterator[tuple[str, Loader]]:
        for frame in video:
            picture = Picture(f"{path.name}[{frame.index}]", frame.image)
            yield picture.name, partial(given, picture)

    return PictureSet(str(path), video.count, loaders, digester=partial(file_digest, path))
