"""Named files in a folder or in a tar."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from edgesdk.errors import DataError

TAR_SUFFIXES = frozenset({".tar", ".tgz", ".tbz", ".tbz2", ".txz"})


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
        """Files of all subfolders. Raises DataError when one of these cannot be listed."""
        return [p.relative_to(root).as_posix() for root in self._roots for p in _files(root)]

    def read(self, name: str) -> bytes:
        """Content of one file."""
        path = next((r / name for r in self._roots if (r / name).is_file()), self._roots[0] / name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from error


class TarStore:
    """A tar, read by the members' offsets through one open file.

    A compressed one is first unpacked into an unnamed temporary file: it cannot be read at an
    offset, so each picture would cost unpacking all that stand before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _reading(path):
            file = _uncompressed(path)
            # The set has no end that could close the file: it may be iterated again.
            weakref.finalize(self, file.close)
            self._archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
            self._members = {m.name: m for m in self._archive if m.isfile()}

    def names(self) -> list[str]:
        """Plain files of the archive."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Content of one member."""
        with _reading(self._path):
            file = self._archive.extractfile(self._members[name])
            return file.read() if file else b""


def is_tar(path: Path) -> bool:
    """True for a file that is a tar or, by its name, should be one."""
    if path.suffix.lower() in TAR_SUFFIXES or ".tar" in [s.lower() for s in path.suffixes[-2:]]:
        return True
    with _reading(path):
        return path.stat().st_size > 0 and tarfile.is_tarfile(path)


def _uncompressed(path: Path) -> IO[bytes]:
    with tarfile.open(path) as archive:
        packed = archive.fileobj
        if packed is None or isinstance(packed, io.BufferedReader):
            return path.open("rb")
        file = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            packed.seek(0)
            while block := packed.read(1 << 20):
                file.write(block)
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return file


def _files(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    try:
        for folder, _, names in os.walk(root, onerror=refuse):
            yield from (p for p in (Path(folder, name) for name in names) if p.is_file())
    except OSError as error:
        raise DataError(
            f"{error.filename}: cannot be listed: {error.strerror}", "allow reading it (chmod +rX)"
        ) from error


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
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be read as a tar: {error}", "copy it again") from error
