"""One process at a time: a lock file that the system lets go of when its process dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from edgesdk.errors import BackendError


def at_once() -> None:
    """What to do while another process has it: nothing, it will not take long."""


@contextlib.contextmanager
def turn(path: Path, waits: Callable[[], None] = at_once) -> Iterator[None]:
    """Hold the lock file `path` while others wait; `waits` is called once before waiting.

    The file stays: removing it would let two others hold it at once. On a file system without
    locks nothing is held. Raises BackendError when the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise BackendError(
            f"cannot write {path.parent}: {error.strerror}",
            "free some space, or set EDGESDK_CACHE to a folder that takes files",
        ) from error
    try:
        _hold(handle, waits)
        yield
    finally:
        os.close(handle)


def _hold(handle: int, waits: Callable[[], None]) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return  # some network file systems have none
        waits()
        fcntl.flock(handle, fcntl.LOCK_EX)
