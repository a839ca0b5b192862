"""Writes a log in files of bounded size, and takes away the oldest."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgesdk._optional import require
from edgesdk._sqlite import open_for_appending
from edgesdk.errors import EdgeError
from edgesdk.inspection.audit.record import Origin, Record, RecordedView, chained
from edgesdk.inspection.audit.tables import (
    FORMAT,
    SUFFIX,
    VERDICT,
    create,
    insert,
    logs_in,
)

PARTS = ("time_utc", "error", "digest", *VERDICT)
VIEWS = (
    *("part", "frame", "time_ms", "left_px", "top_px", "right_px", "bottom_px"),
    *("score", "png", "heat", "heat_height", "heat_width"),
)
PNG_EFFORT = 1
"""0..9: more costs several times the time and saves a tenth."""


class LogWriter:
    """One run's log: FOLDER/RUN-0001.audit, -0002, ... For one thread at a time."""

    def __init__(self, folder: Path, origin: Origin, file_bytes: int, limit_bytes: int) -> None:
        """A file is followed by the next from `file_bytes` on; files of all runs in `folder` that
        are more than `limit_bytes` together are removed, the oldest first and never the one that
        is written. Raises EdgeError when the folder cannot be written."""
        self._folder = folder
        self._origin = origin
        self._file_bytes = file_bytes
        self._limit_bytes = limit_bytes
        self._cv2: Any = require("cv2", "write pictures")
        self._number = 0
        self._digest = ""
        self._written = 0
        self._path = folder
        self._connection: sqlite3.Connection | None = None
        self._begin()

    def write(self, records: Sequence[Record]) -> None:
        """Append them in one transaction for each file. Raises EdgeError; then those that went into
        files before are in the log, and no others."""
        rest = deque(records)
        while rest:
            if self._connection is None or self._written >= self._file_bytes:
                self._begin()
            assert self._connection is not None
            try:
                with self._connection:
                    self._connection.execute("BEGIN")
                    self._digest = self._fill(self._connection, rest)
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def close(self) -> None:
        """Complete the file."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            self._connection = None

    def _begin(self) -> None:
        self.close()
        self._number += 1
        self._written = 0
        self._path = self._folder / f"{self._origin.run_id}-{self._number:04d}{SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
            self._connection = open_for_appending(self._path)
            with self._connection:
                self._connection.execute("BEGIN")
                create(self._connection)
                about = {**asdict(self._origin), "format": FORMAT, "file": self._number}
                about["previous_digest"] = self._digest
                rows = [(key, json.dumps(value)) for key, value in about.items()]
                self._connection.executemany(insert("run", ("key", "value")), rows)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _make_room(self) -> None:
        files = [(path, path.stat().st_size) for path in logs_in(self._folder)]
        total = sum(size for _, size in files) + self._file_bytes
        for path, size in files:
            if total <= self._limit_bytes:
                return
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.unlink(missing_ok=True)
            total -= size

    def _fill(self, connection: sqlite3.Connection, rest: deque[Record]) -> str:
        """Take from `rest` what the file has room for; returns the digest of the last one."""
        digest = self._digest
        while rest and self._written < self._file_bytes:
            digest = self._append(connection, rest.popleft(), digest)
        return digest

    def _append(self, connection: sqlite3.Connection, record: Record, previous: str) -> str:
        digest = chained(previous, record)
        verdict = (getattr(record.verdict, name) for name in VERDICT)
        row = connection.execute(
            insert("parts", PARTS), (record.time_utc, record.error, digest, *verdict)
        ).lastrowid
        for view in record.views:
            connection.execute(insert("views", VIEWS), (row, *self._view(view)))
        return digest

    def _view(self, view: RecordedView) -> tuple[object, ...]:
        done, png = self._cv2.imencode(
            ".png", view.picture, [self._cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT]
        )
        if not done:
            raise EdgeError(f"a picture of shape {view.picture.shape} cannot be written as PNG")
        data = png.tobytes()
        heat = None if view.heat is None else view.heat.astype("<f4").tobytes()
        self._written += len(data) + len(heat or b"")
        size = (None, None) if view.heat is None else view.heat.shape
        return (view.frame, view.time_ms, *view.box, view.score, data, heat, *size)

    def _failed(self, error: Exception) -> EdgeError:
        return EdgeError(
            f"cannot write {self._path}: {error}",
            "free some space or name another folder; what was written before is whole",
        )
