"""All figures of the page: filled by the pipeline, read by the server."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from edgesdk.inspection import Verdict
from edgesdk.pipeline.packet import Event, Packet, field_value
from edgesdk.pipeline.protocols import Sink
from edgesdk.sinks.facts import SinkFacts, StreamFacts
from edgesdk.sinks.opening import Measured
from edgesdk.web.control import Inspections
from edgesdk.web.streams import RECENT, StreamFigures, spread_ms
from edgesdk.web.words import without_secrets

LAST_EVENTS = 30
HISTORY_S = 180
"""Length of the sparklines."""
MOST_STREAMS = 64
MOST_ROWS = 200
OWN_FIELDS = frozenset(field.name for field in dataclasses.fields(Event))
"""Shown in other places than among an event's values."""


class Board:
    """Figures of a run in bounded memory. `add` is for one thread, `message` for any."""

    def __init__(self, facts: SinkFacts, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._facts = facts
        self._clock_ns = clock_ns
        self._start_ns = clock_ns()
        self._lock = threading.Lock()
        self._streams = [StreamFigures(each, self._start_ns) for each in facts.streams]
        self._by_name = {each.name: i for i, each in enumerate(facts.streams)}
        self._stages: dict[str, deque[int]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._events: deque[dict[str, Any]] = deque(maxlen=LAST_EVENTS)
        self._history = History(self._start_ns)
        self._inspections = Inspections()
        self._sinks: Sequence[Sink] = ()

    @property
    def streams(self) -> int:
        """How many streams are known."""
        return len(self._streams)

    def observe(self, sinks: Sequence[Sink]) -> None:
        """The sinks whose own figures are to be shown."""
        self._sinks = sinks

    def add(self, packet: Packet) -> int:
        """Take in a finished packet; returns the number of its stream."""
        now_ns = self._clock_ns()
        total_ns = sum(packet.timings_ns.values())
        with self._lock:
            number = self._stream_of(packet.frame.source)
            self._streams[number].add(packet.frame, now_ns)
            for name, duration_ns in (*packet.timings_ns.items(), ("total", total_ns)):
                if name not in self._stages:
                    self._stages[name] = deque(maxlen=RECENT)
                self._stages[name].append(duration_ns)
            self._history.add(now_ns, total_ns)
            for event in packet.events:
                self._tell(event, number)
                if isinstance(event, Verdict):
                    self._inspections.add(number, event)
        return number

    def tell(self, packet: Packet) -> None:
        """Take in events without a frame of their own."""
        with self._lock:
            number = self._stream_of(packet.frame.source)
            for event in packet.events:
                self._tell(event, number)

    def message(self) -> bytes:
        """Everything as JSON, for the page."""
        now_ns = self._clock_ns()
        with self._lock:
            streams = [each.as_object(now_ns) for each in self._streams]
            stages = {name: list(durations) for name, durations in self._stages.items()}
            counts = dict(self._counts)
            events = list(self._events)[::-1]
            history = self._history.as_object(now_ns)
            inspections = self._inspections.as_objects()
        total = stages.pop("total", [])  # it stands last, whenever a stage first reported
        whole = {
            "app": self._facts.app,
            "uptime_s": round((now_ns - self._start_ns) / 1e9),
            "streams": streams,
            "stages": [
                {"name": name, **spread_ms(values)}
                for name, values in (*stages.items(), ("total", total))
                if values
            ],
            "counts": _table(counts, self._facts.columns),
            "events": events,
            "history": history,
            "inspections": inspections,
            "sinks": self._gauges(),
        }
        return json.dumps(whole, separators=(",", ":")).encode()

    def _stream_of(self, name: str) -> int:
        """Pictures of a set are sources by name, but not streams: an only stream takes them all."""
        if name in self._by_name:
            return self._by_name[name]
        if len(self._facts.streams) == 1 or len(self._streams) >= MOST_STREAMS:
            return 0
        self._by_name[name] = len(self._streams)
        self._streams.append(StreamFigures(StreamFacts(name, (0, 0), 0.0), self._clock_ns()))
        return self._by_name[name]

    def _tell(self, event: Event, stream: int) -> None:
        if event.counted_as is None:
            return  # It tells counts itself, in many rows at once.
        row, column = event.counted_as
        if (row, column) in self._counts or len(self._counts) < MOST_ROWS:
            self._counts[row, column] += 1
            self._streams[stream].totals[column] += 1
        if not event.worth_a_line:
            return
        names = [each.name for each in dataclasses.fields(event) if each.name not in OWN_FIELDS]
        values = {name: field_value(event, name) for name in names}
        self._events.append(
            {
                "stream": stream,
                "frame": event.frame,
                "at_s": round(event.time_ms / 1000, 1),
                "what": f"{row} {column}",
                "values": {n: _short(v) for n, v in values.items() if _told(n, v, row, column)},
            }
        )

    def _gauges(self) -> list[dict[str, Any]]:
        return [
            {
                "name": without_secrets(sink.name),
                "values": {name: _short(value) for name, value in sink.gauges().items()},
            }
            for sink in self._sinks
            if isinstance(sink, Measured)
        ]


class History:
    """Frames and their mean time by the second, of the last minutes."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._seconds: deque[list[int]] = deque(maxlen=HISTORY_S)
        """[second since the start, frames, ns of all of them]."""

    def add(self, now_ns: int, total_ns: int) -> None:
        """One frame."""
        second = (now_ns - self._start_ns) // 1_000_000_000
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += total_ns

    def as_object(self, now_ns: int) -> dict[str, list[float | None]]:
        """One value a second, oldest first, without the second that is not over."""
        until = (now_ns - self._start_ns) // 1_000_000_000
        found = {second: (frames, ns) for second, frames, ns in self._seconds}
        seconds = range(max(until - HISTORY_S, 0), until)
        each = [found.get(second, (0, 0)) for second in seconds]
        return {
            "fps": [frames for frames, _ in each],
            "total_ms": [round(ns / frames / 1e6, 2) if frames else None for frames, ns in each],
        }


def _table(counts: dict[tuple[str, str], int], known: Sequence[str]) -> dict[str, Any]:
    """Rows and columns as the summary has them: rows sorted, the app's columns first."""
    columns = list(known) + sorted({column for _, column in counts} - set(known))
    rows = sorted({row for row, _ in counts})
    return {
        "columns": columns,
        "rows": [[row, [counts.get((row, column), 0) for column in columns]] for row in rows],
    }


def _told(name: str, value: object, row: str, column: str) -> bool:
    """Not twice, and no readings of a clock that starts anywhere."""
    words = (row, column, *row.split(), *column.split())
    return not name.endswith("_ns") and value not in words


def _short(value: object) -> object:
    """Numbers to four places (JSON has no NaN, nor has a figure that is none a value), texts not
    longer than a line."""
    if isinstance(value, float):
        return str(value) if value - value != 0 else float(f"{value:.4g}")
    return value if value is None or isinstance(value, int) else str(value)[:60]
