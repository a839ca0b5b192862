"""Reads a log, one part at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk._sqlite import open_to_read
from edgesdk.errors import DataError
from edgesdk.inspection.audit.record import Origin, Record, RecordedView, chained
from edgesdk.inspection.audit.tables import FORMAT, SUFFIX, logs_in, verdict_of

LATER = {"finder", "finder_digest"}
"""Of `Origin`; logs of before have none."""


@dataclass(frozen=True)
class Log:
    """The log of one run."""

    files: tuple[Path, ...]
    """In the order in which they were written."""
    origin: Origin
    whole: bool
    """Its first file is there: none was removed for want of room."""

    @property
    def count(self) -> int:
        """Parts in it."""
        total = 0
        for path in self.files:
            with closing(open_to_read(path)) as connection:
                total += int(connection.execute("SELECT count(*) FROM parts").fetchone()[0])
        return total

    def records(self) -> Iterator[Record]:
        """Every part in order; memory holds one.

        Raises DataError where the chain of digests does not hold: a record was changed or is
        missing.
        """
        digest: str | None = None
        for path in self.files:
            try:
                with closing(open_to_read(path)) as connection:
                    before = str(_about(connection)["previous_digest"])
                    if digest is not None and before != digest:
                        raise _broken(path, "it does not follow the file before it")
                    digest = before
                    for record, after in _records(connection, path, before):
                        digest = after
                        yield record
            except sqlite3.Error as error:
                raise DataError(f"{path}: cannot be read: {error}") from error


def open_log(place: Path) -> Log:
    """The log of a run: a file, with those that follow it, or the last run in a folder.

    Raises DataError when there is none.
    """
    files = logs_in(place) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise DataError(
            f"{place}: there is no audit log",
            f"name the folder of an audit sink (--sink audit:FOLDER) or a file *{SUFFIX} in it",
        )
    run = _run_of(files[-1])
    own = [path for path in logs_in(files[-1].parent) if _run_of(path) == run]
    chosen = [path for path in own if place.is_dir() or path >= place]
    about = [_read_about(path) for path in chosen]
    first = about[0]
    fields = {name: first[name] for name in Origin.__dataclass_fields__ if name in first}
    return Log(tuple(chosen), Origin(**fields), first["file"] == 1)


def _run_of(path: Path) -> str:
    return path.stem.rpartition("-")[0]


def _read_about(path: Path) -> dict[str, Any]:
    try:
        with closing(open_to_read(path)) as connection:
            about = _about(connection)
    except (sqlite3.Error, json.JSONDecodeError, ValueError) as error:
        raise DataError(f"{path}: this is no audit log: {error}") from error
    needed = {*Origin.__dataclass_fields__, "format", "file", "previous_digest"} - LATER
    missing = needed - set(about)
    if missing:
        raise DataError(f"{path}: this is no audit log: {', '.join(sorted(missing))} missing")
    if about["format"] != FORMAT:
        raise DataError(
            f"{path}: a log of format {about['format']}; this edgesdk reads format {FORMAT}",
            "read it with the edgesdk that wrote it",
        )
    return about


def _about(connection: sqlite3.Connection) -> dict[str, Any]:
    rows = connection.execute("SELECT key, value FROM run").fetchall()
    return {str(key): json.loads(value) for key, value in rows}


def _records(
    connection: sqlite3.Connection, path: Path, digest: str
) -> Iterator[tuple[Record, str]]:
    connection.row_factory = sqlite3.Row
    for row in connection.execute("SELECT * FROM parts ORDER BY id"):
        views = connection.execute(
            "SELECT * FROM views WHERE part = ? ORDER BY rowid", (row["id"],)
        )
        try:
            verdict = verdict_of(dict(row))
            seen = tuple(_view(dict(view)) for view in views)
        except (TypeError, ValueError) as error:
            raise _broken(path, f"record {row['id']} cannot be read: {error}") from error
        record = Record(verdict, row["time_utc"], row["error"], seen)
        digest = chained(digest, record)
        if digest != row["digest"]:
            raise _broken(path, f"record {row['id']} or one before it was changed")
        yield record, digest


def _view(row: dict[str, Any]) -> RecordedView:
    box = (row["left_px"], row["top_px"], row["right_px"], row["bottom_px"])
    heat = None
    if row["heat"] is not None:
        size = (row["heat_height"], row["heat_width"])
        heat = np.frombuffer(row["heat"], "<f4").reshape(size).astype(np.float32)
    picture = _picture(row["png"])
    return RecordedView(picture, box, row["frame"], row["time_ms"], row["score"], heat)


def _picture(png: bytes) -> NDArray[np.uint8]:
    cv2 = require("cv2", "read pictures")
    picture: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("its picture is no PNG")
    return picture


def _broken(path: Path, what: str) -> DataError:
    return DataError(
        f"{path}: {what}", "the log is no evidence any more; take it from a copy that is whole"
    )
