"""Events as messages: each with an id that no other event has."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass

from edgesdk.pipeline.packet import Event, Packet, field_value, wall_time
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.uri import hide_password


@dataclass(frozen=True)
class Message:
    """One event with what a receiver needs to know of it."""

    id: str
    """RUN/STREAM/NUMBER: the same for the same event in each sink of a run, and in no other."""
    stream: str
    """Name of the source; a password in it is hidden."""
    time_utc: str
    """When the frame was captured by the wall clock, ISO 8601 with milliseconds and a Z."""
    event: Event

    def as_json(self, app: str) -> str:
        """One JSON object: id, app, stream, time_utc, kind, and the event's fields in `event`.

        A number that is none (NaN, infinity) is null.
        """
        table = {
            "id": self.id,
            "app": app,
            "stream": self.stream,
            "time_utc": self.time_utc,
            "kind": type(self.event).__name__.lower(),
            "event": {
                name: field_value(self.event, name) for name in event_columns(type(self.event))
            },
        }
        return json.dumps(table, allow_nan=False, ensure_ascii=False)


def event_columns(event: type[Event]) -> tuple[str, ...]:
    """The event's own fields: without the stream, which a message has itself."""
    return tuple(field.name for field in dataclasses.fields(event) if field.name != "stream")


class Numbering:
    """Gives the events of a run their ids, in the order in which they come."""

    def __init__(self, facts: SinkFacts) -> None:
        self._run_id = facts.run_id
        self._only = facts.streams[0].name if len(facts.streams) == 1 else ""
        self._counts: Counter[str] = Counter()

    def messages(self, packet: Packet) -> list[Message]:
        """The packet's events; to be asked once for each packet."""
        if not packet.events:
            return []
        stream = hide_password(stream_of(packet, self._only))
        now = wall_time(packet)
        made = []
        for event in packet.events:
            self._counts[stream] += 1
            number = f"{self._run_id}/{stream}/{self._counts[stream]}"
            made.append(Message(number, stream, now, event))
        return made


def stream_of(packet: Packet, only: str) -> str:
    """The stream's name; `only` is that of a run with one (pictures name themselves otherwise)."""
    return only or packet.frame.source
