"""SQLite files that are written to for months: whole after a loss of power, and small in memory."""

from __future__ import annotations

import sqlite3
from pathlib import Path

CACHE_KB = 256
"""Of the file in memory: rows are only appended, so more of it helps nobody. SQLite's own 2 MB fill
over the first hours of a run, which looks like a leak."""
BUSY_S = 5.0
"""How long another process may hold the file locked."""


def open_for_appending(path: Path) -> sqlite3.Connection:
    """Open or make it, for any one thread at a time. Its journal is a write-ahead log that is
    flushed at each commit. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that is there, without changing it. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
