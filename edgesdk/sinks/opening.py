"""The one door to sinks: `open_sink` and `open_sinks`."""

from __future__ import annotations

import contextlib
import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from edgesdk.errors import EdgeError, UnknownName
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import Flushing, Sink, TakesTheRest
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.uri import SinkUri, parse_uri

KINDS: Mapping[str, str] = {
    "jsonl": "edgesdk.sinks.files",
    "csv": "edgesdk.sinks.files",
    "json": "edgesdk.sinks.files",
    "video": "edgesdk.sinks.files",
    "sqlite": "edgesdk.sinks.database",
    "snapshots": "edgesdk.sinks.snapshots",
    "audit": "edgesdk.sinks.audit",
    "mqtt": "edgesdk.sinks.mqtt",
    "mqtts": "edgesdk.sinks.mqtt",
    "http": "edgesdk.sinks.webhook",
    "https": "edgesdk.sinks.webhook",
    "prometheus": "edgesdk.sinks.metrics",
    "web": "edgesdk.web",
    "modbus": "edgesdk.signals.modbus_output",
    "gpio": "edgesdk.signals.gpio_output",
}
"""Kind -> the module that makes it; loaded when one is named, so that no run pays for others."""


class SinkModule(Protocol):
    """What a module of `KINDS` has."""

    def make_sink(self, uri: SinkUri, facts: SinkFacts) -> Sink:
        """Open the sink. It is called `uri.name`.

        Raises UsageError for a bad URI, MissingExtra without its package, and EdgeError when the
        place cannot be used: all that can be known is known before the run starts.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A sink that has figures of its own."""

    def gauges(self) -> Mapping[str, float]:
        """Figures by name, such as {"waiting": 12}; for any thread."""
        ...


@runtime_checkable
class Addressed(Protocol):
    """A sink that people open in a browser."""

    @property
    def address(self) -> str:
        """Such as http://127.0.0.1:8080/; it may hold a token, so it is shown but not logged."""
        ...


@runtime_checkable
class Observer(Protocol):
    """A sink that shows how the others are."""

    def observe(self, sinks: Sequence[Sink]) -> None:
        """Told once, before the run, of all the sinks that were opened with it."""
        ...


def open_sink(uri: str, facts: SinkFacts, name: str = "") -> Sink:
    """Open the sink that `uri` names, such as "sqlite:events.db" or "mqtt://broker/topic".

    `name` is what it is called in the pipeline; empty: its kind. Raises UnknownName for another
    kind, and what `SinkModule.make_sink` raises.
    """
    parsed = parse_uri(uri, name)
    if parsed.kind not in KINDS:
        raise UnknownName("kind of sink", parsed.kind, KINDS)
    module = cast("SinkModule", importlib.import_module(KINDS[parsed.kind]))
    return module.make_sink(parsed, facts)


def open_sinks(uris: Sequence[str], facts: SinkFacts, taken: Iterable[str] = ()) -> list[Sink]:
    """Open them all, each with a name of its own, or none: an error closes those before it.

    `taken`: names of sinks that the pipeline has already.
    """
    opened: list[Sink] = []
    seen = Counter(taken)
    try:
        for uri in uris:
            kind = parse_uri(uri).kind
            seen[kind] += 1
            opened.append(open_sink(uri, facts, f"{kind}-{seen[kind]}" if seen[kind] > 1 else kind))
    except BaseException:
        for sink in opened:
            with contextlib.suppress(EdgeError):
                sink.close()
        raise
    for sink in opened:
        if isinstance(sink, Observer):
            sink.observe(opened)
    return opened


class OnceClosed:
    """A sink that is closed once, whoever closes it first: the pipeline, or the end of `with`."""

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self.flush_s = sink.flush_s if isinstance(sink, Flushing) else 0.0
        self._sink = sink
        self._closed = False

    def accept(self, packet: Packet) -> None:
        """Hand it on."""
        self._sink.accept(packet)

    def tell(self, packet: Packet) -> None:
        """Hand it on to a sink for events."""
        if isinstance(self._sink, TakesTheRest):
            self._sink.tell(packet)

    def close(self) -> None:
        """Close it, unless it is."""
        if not self._closed:
            self._closed = True
            self._sink.close()


@dataclass(frozen=True)
class OpenedSinks:
    """What `opened_sinks` gives."""

    sinks: tuple[Sink, ...]
    """As they were opened, to be looked at."""
    guarded: tuple[OnceClosed, ...]
    """The same for the pipeline, which closes them when it has run."""


@contextlib.contextmanager
def opened_sinks(
    uris: Sequence[str], facts: SinkFacts, taken: Iterable[str] = ()
) -> Iterator[OpenedSinks]:
    """`open_sinks`, and their end also when the pipeline never ran."""
    sinks = open_sinks(uris, facts, taken)
    guarded = tuple(OnceClosed(sink) for sink in sinks)
    with contextlib.ExitStack() as ending:  # Each is closed, also after one that fails.
        for sink in reversed(guarded):
            ending.callback(sink.close)
        yield OpenedSinks(tuple(sinks), guarded)
