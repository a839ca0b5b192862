"""`sqlite:PATH`: events as rows of a table.

A thread writes them in transactions of at most `COMMIT_S`, so the pipeline does not wait for the
disk. The journal is a write-ahead log, flushed at each commit: a run that is killed, or a board
that loses power, loses at most the last `COMMIT_S` of events and never the file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from edgesdk._sqlite import open_for_appending
from edgesdk.errors import EdgeError, UsageError
from edgesdk.pipeline.event_files import kind_name
from edgesdk.pipeline.packet import Event, Packet, field_value
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.messages import Message, Numbering, event_columns
from edgesdk.sinks.places import check_file_place
from edgesdk.sinks.uri import SinkUri
from edgesdk.sinks.worker import Worker

COMMIT_S = 0.25
"""Pause between transactions: few enough flushes for an SD card."""
WAITING = 10_000
"""Events that may wait for the disk; then the pipeline waits."""
CLOSE_S = 10.0
OWN_COLUMNS = ("id", "stream", "time_utc")

# SQLite keeps a number that is none (NaN) as NULL.
_TYPES = {int: "INTEGER NOT NULL", bool: "INTEGER NOT NULL", float: "REAL"}


@dataclass(frozen=True)
class DatabaseOptions:
    """What may stand after the "?"."""

    table: str = ""
    """Empty: the event's name in small letters. Further kinds are then named after theirs, and
    otherwise TABLE_KIND."""

    def __post_init__(self) -> None:
        if self.table and not re.fullmatch(r"[A-Za-z_]\w*", self.table):
            raise ValueError(f"table should be letters, digits and _, found {self.table!r}")


def make_sink(uri: SinkUri, facts: SinkFacts) -> DatabaseSink:
    """Open or make the file and its tables."""
    check_file_place(uri.path)
    return DatabaseSink(uri.name, uri.path, uri.options(DatabaseOptions).table, facts)


class _Table:
    """One kind of event with its table."""

    def __init__(self, name: str, event: type[Event]) -> None:
        """Raises UsageError when the event's fields are no columns."""
        self.name = name
        self.event = event
        self.columns = event_columns(event)
        taken = set(self.columns) & set(OWN_COLUMNS)
        if taken:
            raise UsageError(
                f"{event.__name__}: {', '.join(sorted(taken))} are columns of the table itself",
                "rename the event's fields",
            )
        marks = ", ".join("?" * (len(OWN_COLUMNS) + len(self.columns)))
        self.insert = f'INSERT INTO "{name}" VALUES ({marks})'

    def row(self, message: Message) -> tuple[object, ...]:
        """Of one event."""
        own = (field_value(message.event, name) for name in self.columns)
        return (message.id, message.stream, message.time_utc, *own)


class DatabaseSink:
    """A table for each kind of event: its columns after id, stream and wall time.

    A number that is none (NaN, infinity) is NULL.
    """

    def __init__(self, name: str, path: Path, table: str, facts: SinkFacts) -> None:
        """`table` is that of the first kind, and begins the names of the others; empty: each is
        named after its kind.

        Raises UsageError when a table is there with other columns, so nothing is mixed.
        """
        self.name = name
        self._path = path
        self._tables = [_Table(table or kind_name(facts.event), facts.event)]
        prefix = f"{table}_" if table else ""
        self._tables += [_Table(prefix + kind_name(event), event) for event in facts.others]
        self._numbering = Numbering(facts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = open_for_appending(path)
            for each in self._tables:
                self._prepare(each)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error
        self._worker = Worker(name, self._write, WAITING, COMMIT_S)

    def accept(self, packet: Packet) -> None:
        """Hand the events to the thread that writes."""
        for message in self._numbering.messages(packet):
            self._worker.put(message)

    def tell(self, packet: Packet) -> None:
        """The same for the rest."""
        self.accept(packet)

    def close(self) -> None:
        """Write what waits and close the file."""
        try:
            self._worker.close(CLOSE_S)
        finally:
            self._connection.close()

    def _prepare(self, table: _Table) -> None:
        rows = self._connection.execute(f'PRAGMA table_info("{table.name}")').fetchall()
        found = [str(row[1]) for row in rows]
        wanted = [*OWN_COLUMNS, *table.columns]
        if found and found != wanted:
            self._connection.close()
            raise UsageError(
                f"{self._path}: its table {table.name!r} has the columns {', '.join(found)};"
                f" the events of this app have {', '.join(wanted)}",
                f"keep both: name another table (sqlite:{self._path}?table={table.name}_2)",
            )
        hints = get_type_hints(table.event)
        columns = ", ".join(f'"{name}" {_type(hints[name])}' for name in table.columns)
        self._connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{table.name}" (id TEXT PRIMARY KEY, stream TEXT NOT NULL,'
            f" time_utc TEXT NOT NULL, {columns})"
        )

    def _write(self, messages: Sequence[Message]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN")
                for table in self._tables:
                    rows = [table.row(m) for m in messages if type(m.event) is table.event]
                    self._connection.executemany(table.insert, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> EdgeError:
        return EdgeError(
            f"cannot write {self._path}: {error}",
            "free some space or name another file; what was written before is whole",
        )


def _type(kind: object) -> str:
    return next((sql for known, sql in _TYPES.items() if known is kind), "TEXT NOT NULL")
