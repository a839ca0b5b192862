"""`jsonl:PATH`, `csv:PATH`, `json:PATH` and `video:PATH`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edgesdk.pipeline.event_files import (
    CsvEvents,
    EventsByKind,
    JsonEvents,
    JsonLinesEvents,
    columns_of,
    kind_name,
)
from edgesdk.pipeline.packet import Event, Packet
from edgesdk.pipeline.protocols import Sink, TakesTheRest
from edgesdk.pipeline.sinks import VideoFile
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.places import check_file_place, check_no_source
from edgesdk.sinks.uri import SinkUri

EVENT_FILES: Mapping[str, Callable[[Path, Sequence[str]], Sink]] = {
    "csv": CsvEvents,
    "jsonl": JsonLinesEvents,
    "json": JsonEvents,
}


@dataclass(frozen=True)
class NoOptions:
    """These take none."""


def make_sink(uri: SinkUri, facts: SinkFacts) -> Sink:
    """The file is made with the first packet; whether it can be is asked now."""
    uri.options(NoOptions)
    path = uri.path
    check_file_place(path)
    several = uri.kind == "video" and len(facts.streams) > 1
    written = [_of_stream(path, stream.name) for stream in facts.streams] if several else [path]
    for each in written:
        check_no_source(each, [s.source.name if s.source else s.name for s in facts.streams])
    return Named(uri.name, _sink(uri.kind, path, facts))


def _sink(kind: str, path: Path, facts: SinkFacts) -> Sink:
    several = len(facts.streams) > 1
    if kind in EVENT_FILES:
        live = any(stream.source is not None and stream.source.live for stream in facts.streams)
        kinds = (facts.event, *facts.others)
        return EventsByKind(
            {
                each: EVENT_FILES[kind](_beside(path, each, facts), columns_of(each, several, live))
                for each in kinds
            }
        )
    return StreamVideos(path, facts) if several else VideoFile(path, facts.fps, facts.draw)


def _beside(path: Path, event: type[Event], facts: SinkFacts) -> Path:
    """Further kinds of event have files of their own beside the first."""
    if event is facts.event:
        return path
    return path.with_name(f"{path.stem}-{kind_name(event)}{path.suffix}")


def _of_stream(path: Path, stream: str) -> Path:
    return path.with_name(f"{path.stem}-{stream}{path.suffix}")


class StreamVideos:
    """A video of each stream: road.mp4 becomes road-gate.mp4 and road-yard.mp4."""

    name = "video"

    def __init__(self, path: Path, facts: SinkFacts) -> None:
        self._files = {
            stream.name: VideoFile(_of_stream(path, stream.name), stream.fps_now, facts.draw)
            for stream in facts.streams
        }

    def accept(self, packet: Packet) -> None:
        """Into the file of its stream."""
        self._files[packet.frame.source].accept(packet)

    def close(self) -> None:
        """Complete all files, also after one that fails."""
        with ExitStack() as ending:
            for file in self._files.values():
                ending.callback(file.close)


class Named:
    """A sink under another name."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self._sink = sink

    def accept(self, packet: Packet) -> None:
        """Hand it on."""
        self._sink.accept(packet)

    def tell(self, packet: Packet) -> None:
        """Hand it on to a sink for events."""
        if isinstance(self._sink, TakesTheRest):
            self._sink.tell(packet)

    def close(self) -> None:
        """Hand it on."""
        self._sink.close()
