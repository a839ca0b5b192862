"""The tables of a log: SQLite, so that any tool can read it, and a lost board loses no file."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

from edgesdk.inspection.verdict import Verdict

FORMAT = 1
SUFFIX = ".audit"

VERDICT = tuple(field.name for field in dataclasses.fields(Verdict))
_KINDS = {int: "INTEGER", bool: "INTEGER", float: "REAL"}
_VIEW = (
    "part INTEGER NOT NULL REFERENCES parts (id), frame INTEGER NOT NULL, time_ms REAL NOT NULL,"
    " left_px REAL NOT NULL, top_px REAL NOT NULL, right_px REAL NOT NULL, bottom_px REAL NOT NULL,"
    " score REAL, png BLOB NOT NULL, heat BLOB, heat_height INTEGER, heat_width INTEGER"
)
VIEWS_BY_PART = "CREATE INDEX views_by_part ON views (part)"


def create(connection: sqlite3.Connection) -> None:
    """Make the tables: `run` (key, value), `parts` (a verdict each) and `views`."""
    hints = get_type_hints(Verdict)
    columns = ", ".join(f'"{name}" {_KINDS.get(hints[name], "TEXT")}' for name in VERDICT)
    connection.execute("CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.execute(
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, time_utc TEXT NOT NULL, error TEXT NOT NULL,"
        f" digest TEXT NOT NULL, {columns})"
    )
    connection.execute(f"CREATE TABLE views ({_VIEW})")
    connection.execute(VIEWS_BY_PART)


def insert(table: str, columns: Iterable[str]) -> str:
    """The statement for one row."""
    names = [f'"{name}"' for name in columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def logs_in(folder: Path) -> list[Path]:
    """The files of all logs in a folder; their names sort by age."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def verdict_of(row: dict[str, Any]) -> Verdict:
    """A verdict from its row; SQLite keeps NaN as NULL and truth as 0 or 1."""
    values = {name: row[name] for name in VERDICT}
    for name in ("score", "threshold"):
        values[name] = float("nan") if values[name] is None else values[name]
    values["late"] = bool(values["late"])
    return Verdict(**values)
