"""Sinks that write events: CSV and JSON lines as they happen, JSON as one whole.

A line is handed to the system in one piece, so a reader (or a crash) never meets half a line, and
`tail -f` shows events while the run goes on. A .json is one array and only whole at the end:
it grows under a temporary name and takes its place on `close`. A number that is none (NaN,
infinity) is null, and an empty field of a CSV.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgesdk._files import Part, clear_abandoned
from edgesdk.errors import EdgeError, UsageError
from edgesdk.pipeline.packet import Event, Packet, field_value, wall_time
from edgesdk.pipeline.protocols import Sink

TIME = "time_utc"
"""The column of cameras' events that says when it was."""


def event_files(
    path: Path, kinds: Sequence[type[Event]], with_stream: bool = False, live: bool = False
) -> EventsByKind:
    """Sinks for several kinds of event: of the first in `path`, of each further one beside it.

    Their files are named after the kind: crossings.csv and crossings-interval.csv. Raises
    UsageError as `event_file` does.
    """
    places = {kind: path.with_name(f"{path.stem}-{kind_name(kind)}{path.suffix}") for kind in kinds}
    places[kinds[0]] = path
    files = {k: event_file(place, k, with_stream, live) for k, place in places.items()}
    return EventsByKind(files, tuple(places.values()))


def kind_name(kind: type[Event]) -> str:
    """What a kind of event is called in tables, files and messages."""
    return kind.__name__.lower()


def event_file(
    path: Path, kind: type[Event], with_stream: bool = False, live: bool = False
) -> Sink:
    """A sink for the events `kind`, by the extension: .csv, .jsonl or .json.

    The columns (keys) are the fields of `kind` in their order, `frame` and `time_ms` first, then,
    `with_stream`, the name of the stream; the last, of a `live` run, is the time of day.
    The file is made with the first packet: a run that processed no frame leaves an older file
    as it is. Raises UsageError for another extension.
    """
    kinds: dict[str, Callable[[Path, Sequence[str]], Sink]] = {
        ".csv": CsvEvents,
        ".jsonl": JsonLinesEvents,
        ".json": JsonEvents,
    }
    if path.suffix.lower() not in kinds:
        raise UsageError(f"{path}: events are written as {', '.join(kinds)}")
    return kinds[path.suffix.lower()](path, columns_of(kind, with_stream, live))


def columns_of(kind: type[Event], with_stream: bool, live: bool) -> tuple[str, ...]:
    """The fields of a kind of event in their order.

    `with_stream`: the third is its stream. `live`: the last is when its frame was captured by the
    wall clock, which for a file would be when it was read.
    """
    names = [field.name for field in dataclasses.fields(kind)]
    own = [name for name in names if with_stream or name != "stream"]
    return (*own, *((TIME,) if live else ()))


class LineFile:
    """A file that grows by whole lines; after a full disk it ends with the last whole one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._size = 0

    @property
    def is_open(self) -> bool:
        """True from the first `open` until `close`."""
        return self._handle is not None

    def open(self) -> None:
        """Begin an empty file."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, text: str) -> None:
        """Append whole lines in one piece."""
        assert self._handle is not None
        data = text.encode()
        try:
            if os.write(self._handle, data) < len(data):
                raise OSError(28, "No space left on device")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise self._failed(error) from error
        self._size += len(data)

    def close(self) -> None:
        """Close the file. Twice is harmless."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _failed(self, error: OSError) -> EdgeError:
        return EdgeError(
            f"cannot write {self.path}: {error.strerror or error}",
            "free some space or name another place; the lines that are there are whole",
        )


class CsvEvents:
    """Comma-separated, RFC 4180 quoting, a header line, lines end in a line feed."""

    name = "events"

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = LineFile(path)
        self._columns = columns

    def accept(self, packet: Packet) -> None:
        """Write one line for each event, at once."""
        if not self._file.is_open:
            self._file.open()
            self._file.write(_csv_line(self._columns))
        for event in packet.events:
            self._file.write(_csv_line(list(_values(packet, event, self._columns).values())))

    def tell(self, packet: Packet) -> None:
        """The same for the rest."""
        self.accept(packet)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonLinesEvents:
    """One JSON object on each line."""

    name = "events"

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = LineFile(path)
        self._columns = columns

    def accept(self, packet: Packet) -> None:
        """Write one line for each event, at once."""
        if not self._file.is_open:
            self._file.open()
        for event in packet.events:
            self._file.write(_json(packet, event, self._columns) + "\n")

    def tell(self, packet: Packet) -> None:
        """The same for the rest."""
        self.accept(packet)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonEvents:
    """One JSON array of objects, put in its place when it is complete."""

    name = "events"

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = columns
        self._part: Part | None = None
        self._file = LineFile(path)
        self._separator = "[\n"

    def accept(self, packet: Packet) -> None:
        """Append to the temporary file."""
        if self._part is None:
            self._part = _part_of(self._path)
            self._file = LineFile(self._part.path)
            self._file.open()
        for event in packet.events:
            self._file.write(self._separator + _json(packet, event, self._columns))
            self._separator = ",\n"

    def tell(self, packet: Packet) -> None:
        """The same for the rest."""
        self.accept(packet)

    def close(self) -> None:
        """End the array and rename the file."""
        if self._part is None:
            return
        part, self._part = self._part, None
        try:
            self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
            self._file.close()
            part.put()
        finally:
            self._file.close()
            part.discard()


class EventsByKind:
    """Each kind of event into its own file; all of them are made with the first packet."""

    name = "events"

    def __init__(self, files: Mapping[type[Event], Sink], paths: Sequence[Path] = ()) -> None:
        """The first file also takes events of a kind that has none. `paths`: to be told."""
        self._files = files
        self.paths = tuple(paths)

    def accept(self, packet: Packet) -> None:
        """To each file what is of its kind, at once."""
        first = next(iter(self._files))
        kinds = [type(e) if type(e) in self._files else first for e in packet.events]
        for kind, file in self._files.items():
            own = tuple(e for e, k in zip(packet.events, kinds, strict=True) if k is kind)
            file.accept(packet if len(own) == len(packet.events) else replace(packet, events=own))

    def tell(self, packet: Packet) -> None:
        """The same for the rest."""
        self.accept(packet)

    def close(self) -> None:
        """Complete all files, also after one that fails."""
        with contextlib.ExitStack() as ending:
            for file in self._files.values():
                ending.callback(file.close)


def _csv_line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _json(packet: Packet, event: Event, columns: Sequence[str]) -> str:
    return json.dumps(_values(packet, event, columns), allow_nan=False)


def _values(packet: Packet, event: Event, columns: Sequence[str]) -> dict[str, object]:
    return {
        name: wall_time(packet) if name == TIME else field_value(event, name) for name in columns
    }


def _part_of(path: Path) -> Part:
    clear_abandoned(path.parent)
    try:
        return Part(path)
    except OSError as error:
        raise EdgeError(
            f"cannot write {path}: {error.strerror or error}", "name another place"
        ) from error
