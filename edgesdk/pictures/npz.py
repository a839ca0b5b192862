"""Pictures in one .npz: an array X of uint8 RGB and, for classification, an array Y of classes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgesdk.errors import DataError
from edgesdk.pictures.set import Loader, Picture, PictureSet, file_digest, given

HOW = "save them with numpy.savez(path, X=pictures, Y=classes)"
DAMAGE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


def open_npz(path: Path) -> PictureSet:
    """Open the pictures `X`, uint8 of shape (N, H, W, 3) in RGB or (N, H, W) in grey.

    They are read from the file one by one. Raises DataError for any other content.
    """
    shape = _check(path)
    classes = _classes(path, shape[0])

    def loaders() -> Iterator[tuple[str, Loader]]:
        with zipfile.ZipFile(path) as archive, archive.open("X.npy") as file:
            read_header(file)
            for index in range(shape[0]):
                raw = _read(file, shape, path)
                class_id = None if classes is None else int(classes[index])
                picture = Picture(f"{path.name}[{index}]", _as_bgr(raw), class_id=class_id)
                yield picture.name, partial(given, picture)

    return PictureSet(
        str(path),
        shape[0],
        loaders,
        labelled=classes is not None,
        digester=partial(file_digest, path),
    )


def _read(file: IO[bytes], shape: tuple[int, ...], path: Path) -> NDArray[np.uint8]:
    try:
        return np.frombuffer(file.read(int(np.prod(shape[1:]))), np.uint8).reshape(shape[1:])
    except DAMAGE as error:
        raise DataError(f"{path}: X is damaged: {error}", "copy it again") from error


def _check(path: Path) -> tuple[int, ...]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("X.npy") as file:
            shape, fortran, dtype = read_header(file)
    except DAMAGE as error:
        raise DataError(f"{path}: not an npz with an array X: {error}", HOW) from error
    if fortran and len(shape) > 1:
        raise DataError(
            f"{path}: X is in Fortran order, expected C order", "use numpy.ascontiguousarray(X)"
        )
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if dtype != np.uint8 or not fits or 0 in shape:
        raise DataError(
            f"{path}: X should be uint8 pictures of shape (N, H, W, 3), found {dtype}{list(shape)}",
            HOW,
        )
    return shape


def _classes(path: Path, count: int) -> NDArray[np.int64] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if "Y" not in arrays.files:
                return None
            classes = arrays["Y"]
    except DAMAGE as error:
        raise DataError(f"{path}: Y cannot be read: {error}", HOW) from error
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        raise DataError(
            f"{path}: Y should be {count} integers, found {classes.dtype}{list(classes.shape)}",
            HOW,
        )
    integers: NDArray[np.int64] = classes.astype(np.int64)
    return integers


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, whether in Fortran order, and dtype: what stands before an .npy file's values."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return tuple(int(size) for size in shape), bool(fortran), dtype


def _as_bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., ::-1])
