"""Writing so that nothing is ever left half-written."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgesdk.errors import EdgeError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file beside `path`, then rename it into place.

    Raises EdgeError (the file that was there stays as it was) when the disk is full
    or the folder cannot be written.
    """
    content = data.encode() if isinstance(data, str) else data
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def folder_atomic(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; on success it takes the place of `path`.

    On any error the temporary folder is removed and what was at `path` stays.
    """
    with _reported(path):
        path = path.resolve()  # a link stays a link to what is replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        old = made.with_name(f"{made.name}.old")
        try:
            made.chmod(0o755)
            yield made
            if path.exists():
                path.rename(old)
            made.rename(path)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            if old.exists() and not path.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EdgeError(
            f"cannot write {path}: {error.strerror or error}",
            "nothing was left behind; free some space or name another place, then run it again",
        ) from error
