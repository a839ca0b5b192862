"""Writing so that nothing is ever left half-written.

What is being written stands beside its place, as `.NAME.edgesdk-XXXXXXXX`, and is locked by the
process that writes it. The lock ends with the process, however it ends: what is not locked was
abandoned, and `clear_abandoned` removes it. A process id would not do: containers that share a
folder have the same ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from edgesdk.errors import EdgeError

_OURS = re.compile(r"\.(?P<place>.+)\.edgesdk-[0-9a-f]{8}(?P<suffix>\.\w+)?")
_OLD = ".old"
"""What stood in a folder's place, for the moment until the new one does."""


class Part:
    """A file that grows beside its place and takes it when it is whole."""

    def __init__(self, place: Path, suffix: str = "") -> None:
        """An empty one at `path`, in the folder of `place`, which is made. Raises OSError.

        `suffix`: the extension of its name, for writers that go by that.
        """
        place.parent.mkdir(parents=True, exist_ok=True)
        self.place = place
        self._lock: int | None
        self.path, self._lock = _made_file(place, suffix)

    def put(self) -> None:
        """Let it take its place, readable to all. Raises OSError."""
        self.path.chmod(0o644)
        self.path.replace(self.place)
        self._let_go()

    def discard(self) -> None:
        """Remove it. After `put`, and the second time, it does nothing."""
        if self._lock is not None:
            self.path.unlink(missing_ok=True)
            self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file beside `path`, then rename it into place.

    Raises EdgeError (the file that was there stays as it was) when the disk is full
    or the folder cannot be written.
    """
    content = data.encode() if isinstance(data, str) else data
    with _reported(path):
        part = Part(path)
        try:
            with part.path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.put()
        finally:
            part.discard()


@contextlib.contextmanager
def folder_atomic(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; on success it takes the place of `path`.

    On any error the temporary folder is removed and what was at `path` stays.
    """
    with _reported(path):
        path = path.resolve()  # a link stays a link to what is replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_abandoned(path.parent)
        made, lock = _made_folder(path)
        old = made.with_name(f"{made.name}{_OLD}")
        try:
            yield made
            if path.exists():
                path.rename(old)
            made.rename(path)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            if old.exists() and not path.exists():
                old.rename(path)
            raise
        finally:
            os.close(lock)
        shutil.rmtree(old, ignore_errors=True)


def clear_abandoned(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`; what cannot be is left."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            ours = _OURS.fullmatch(path.name)
            if ours is None or path.is_symlink():
                continue
            only_copy = ours["suffix"] == _OLD and not (folder / ours["place"]).exists()
            if not only_copy:
                with contextlib.suppress(OSError):
                    _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError where somebody writes it
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        os.close(handle)


def _made_file(place: Path, suffix: str) -> tuple[Path, int]:
    while True:
        path = _name_beside(place, suffix)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if _locked(path, handle):
            return path, handle


def _made_folder(place: Path) -> tuple[Path, int]:
    while True:
        path = _name_beside(place)
        path.mkdir(0o755)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            if _locked(path, handle):
                return path, handle


def _locked(path: Path, handle: int) -> bool:
    """Lock what was just made; False: another process took it for abandoned a moment before.

    On a disk that knows no locks it goes without, and nobody clears there.
    """
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    if path.exists():
        return True
    os.close(handle)
    return False


def _name_beside(place: Path, suffix: str = "") -> Path:
    return place.with_name(f".{place.name}.edgesdk-{secrets.token_hex(4)}{suffix}")


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EdgeError(
            f"cannot write {path}: {error.strerror or error}",
            "nothing was left behind; free some space or name another place, then run it again",
        ) from error
