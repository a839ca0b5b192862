"""A queue of messages on the disk: what could not be delivered goes out later, in the next run too.

It is one SQLite file with a write-ahead log that is flushed at each commit. It holds a bounded
number of messages; when it is full the oldest make room, and are counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgesdk._sqlite import open_for_appending
from edgesdk.errors import EdgeError, UsageError

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages
    (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, body TEXT NOT NULL)
"""


@dataclass(frozen=True)
class Queued:
    """A message that waits."""

    number: int
    """Its place in the order; never used twice in this file."""
    id: str
    body: str


class Outbox:
    """The queue of one destination. Its methods are safe for any thread."""

    def __init__(self, path: Path, limit: int) -> None:
        """Open or make it. Raises UsageError when another run has it, EdgeError when it cannot
        be written or is damaged."""
        self.path = path
        self.dropped = 0
        """Messages that made room since it was opened."""
        self._limit = limit
        self._lock = threading.Lock()
        with self._reported():
            path.parent.mkdir(parents=True, exist_ok=True)
        self._held = _held(path.with_name(f"{path.name}.lock"))
        try:
            with self._reported():
                self._connection = open_for_appending(path)
                self._size = self._prepare()
        except EdgeError:
            self._held.close()
            raise

    @property
    def size(self) -> int:
        """Messages that wait."""
        return self._size

    def add(self, messages: Sequence[tuple[str, str]]) -> None:
        """Append (id, body) pairs in one transaction. Raises EdgeError, as on a full disk."""
        with self._lock, self._reported():
            excess = max(self._size + len(messages) - self._limit, 0)
            with self._connection:
                self._connection.execute("BEGIN")
                self._connection.executemany(
                    "INSERT INTO messages (id, body) VALUES (?, ?)", messages
                )
                self._connection.execute(
                    "DELETE FROM messages WHERE number IN"
                    " (SELECT number FROM messages ORDER BY number LIMIT ?)",
                    (excess,),
                )
            self._size += len(messages) - excess
            if excess and not self.dropped:
                _log.warning("%s is full (%d messages): the oldest go", self.path, self._limit)
            self.dropped += excess

    def oldest(self, count: int, after: int = 0) -> list[Queued]:
        """At most `count` messages whose number is above `after`, in order."""
        if self._size == 0:
            return []
        with self._lock, self._reported():
            rows = self._connection.execute(
                "SELECT number, id, body FROM messages WHERE number > ? ORDER BY number LIMIT ?",
                (after, count),
            ).fetchall()
        return [Queued(*row) for row in rows]

    def remove(self, numbers: Sequence[int]) -> None:
        """Take out what was delivered, in one transaction."""
        with self._lock, self._reported():
            with self._connection:
                self._connection.execute("BEGIN")
                before = self._connection.total_changes
                self._connection.executemany(
                    "DELETE FROM messages WHERE number = ?", [(number,) for number in numbers]
                )
            self._size -= self._connection.total_changes - before

    def close(self) -> None:
        """Close the file and let another run have it."""
        with self._lock:
            self._connection.close()
            self._held.close()

    def _prepare(self) -> int:
        try:
            self._connection.execute(_SCHEMA)
            (size,) = self._connection.execute("SELECT count(*) FROM messages").fetchone()
        except sqlite3.Error:
            self._connection.close()
            raise
        return int(size)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EdgeError(
                f"the outbox {self.path} cannot be used: {error}",
                "free some space, or move the file away if it is damaged, or name another with"
                " the option outbox=PATH",
            ) from error


def default_outbox(app: str, kind: str, destination: str) -> Path:
    """Where the messages of `app` for `destination` wait: under XDG_STATE_HOME.

    Only a digest of the destination is in the name, since it may hold a secret.
    """
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    digest = hashlib.sha256(destination.encode()).hexdigest()[:10]
    return Path(base) / "edgesdk" / "outbox" / f"{app}-{kind}-{digest}.sqlite"


def _held(path: Path) -> IO[str]:
    """The lock file, locked; the system lets go of it when the process dies."""
    try:
        file = path.open("w")
    except OSError as error:
        raise UsageError(
            f"nothing can be written in {path.parent}: {error.strerror or error}",
            "name a file elsewhere with the option outbox=PATH",
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise UsageError(
            f"{path.with_suffix('')}: another run sends from this outbox",
            "end that run, or give this one its own with the option outbox=PATH",
        ) from error
    return file
