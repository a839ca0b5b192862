"""`prometheus://127.0.0.1:9464`: figures of the run, for Prometheus to fetch from /metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from edgesdk._optional import require
from edgesdk.errors import UsageError
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import Sink
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.files import NoOptions
from edgesdk.sinks.messages import stream_of
from edgesdk.sinks.opening import Measured
from edgesdk.sinks.uri import SinkUri, hide_password

PORT = 9464
JOIN_S = 2.0
STATES = ("connecting", "streaming", "frozen", "waiting", "ended", "failed")
STAGE_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
AGE_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PURPOSE = "serve metrics"


def make_sink(uri: SinkUri, facts: SinkFacts) -> Metrics:
    """Begin to serve, so that a port that is taken is known before the run."""
    require("prometheus_client", PURPOSE)
    uri.options(NoOptions)
    return Metrics(uri.name, uri.host or "127.0.0.1", PORT if uri.port is None else uri.port, facts)


class Metrics:
    """Counts packets and asks sources and the other sinks when someone fetches."""

    def __init__(self, name: str, host: str, port: int, facts: SinkFacts) -> None:
        """Raises UsageError when the address cannot be had."""
        self.name = name
        self._only = facts.streams[0].name if len(facts.streams) == 1 else ""
        self._clients: Any = require("prometheus_client", PURPOSE)
        self._seen: dict[str, int] = {}
        registry = self._clients.CollectorRegistry()
        self._figures = _Figures(self._clients, registry)
        self._collector = _Asked(facts)
        registry.register(self._collector)
        try:
            self._server, self._thread = self._clients.start_http_server(port, host, registry)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(
                f"metrics cannot be served on {host}:{port}: {why}",
                f"name another port, such as prometheus://127.0.0.1:{PORT + 1}",
            ) from error
        self.port = int(self._server.server_port)
        self.address = f"http://{self._server.server_address[0]}:{self.port}/metrics"

    def observe(self, sinks: Sequence[Sink]) -> None:
        """Show the figures of these sinks too."""
        self._collector.sinks = tuple(sink for sink in sinks if sink is not self)

    def accept(self, packet: Packet) -> None:
        """Count one packet."""
        frame, figures = packet.frame, self._figures
        stream = hide_password(stream_of(packet, self._only))
        seen = max(self._seen.get(stream, 0), frame.index + 1)
        gained = seen - self._seen.get(stream, 0)
        self._seen[stream] = seen
        figures.captured.labels(stream).inc(gained)
        figures.processed.labels(stream).inc()
        figures.dropped.labels(stream).inc(max(gained - 1, 0))
        age_ns = time.monotonic_ns() - frame.captured_ns
        figures.age.labels(stream).observe(age_ns / 1e9)
        for stage, spent_ns in packet.timings_ns.items():
            figures.stages.labels(stage).observe(spent_ns / 1e9)
        self._count(packet, stream)

    def tell(self, packet: Packet) -> None:
        """Count what was left to tell at the end."""
        self._count(packet, hide_password(stream_of(packet, self._only)))

    def _count(self, packet: Packet, stream: str) -> None:
        for event in packet.events:
            if event.counted_as is not None:
                self._figures.events.labels(stream, *event.counted_as).inc()

    def close(self) -> None:
        """Stop serving; the port is free at once."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(JOIN_S)


class _Figures:
    """What is counted packet by packet."""

    def __init__(self, clients: Any, registry: Any) -> None:
        def counter(name: str, text: str, *labels: str) -> Any:
            return clients.Counter(f"edgesdk_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, label: str, bounds_s: Sequence[float]) -> Any:
            return clients.Histogram(
                f"edgesdk_{name}", text, (label,), registry=registry, buckets=bounds_s
            )

        self.captured = counter("frames_captured", "Frames, by their own number", "stream")
        self.processed = counter("frames_processed", "Frames that came to the sinks", "stream")
        self.dropped = counter("frames_dropped", "Captured, not processed", "stream")
        self.events = counter("events", "As the app counts them", "stream", "row", "column")
        self.stages = histogram("stage_seconds", "Work on one frame", "stage", STAGE_S)
        self.age = histogram("frame_age_seconds", "From capture to the sinks", "stream", AGE_S)


class _Asked:
    """What sources and sinks say of themselves, at the moment of a fetch."""

    def __init__(self, facts: SinkFacts) -> None:
        self.sinks: tuple[Sink, ...] = ()
        self._streams = facts.streams
        self._trigger = facts.trigger

    def collect(self) -> Iterator[Any]:
        """Called by the registry."""
        core: Any = require("prometheus_client.core", PURPOSE)
        yield from self._of_sources(core)
        gauge = core.GaugeMetricFamily(
            "edgesdk_sink", "Figures of the other sinks, as outbox size", labels=("sink", "figure")
        )
        for sink in self.sinks:
            if isinstance(sink, Measured):
                for figure, value in sink.gauges().items():
                    gauge.add_metric((sink.name, figure), value)
        yield gauge
        if self._trigger is not None:
            fires = core.GaugeMetricFamily(
                "edgesdk_trigger", "Figures of what fires for each part", labels=("figure",)
            )
            for figure, value in self._trigger().items():
                fires.add_metric((figure,), value)
            yield fires

    def _of_sources(self, core: Any) -> Iterator[Any]:
        state = core.GaugeMetricFamily(
            "edgesdk_source_state", "1 for the state it is in", labels=("stream", "state")
        )
        names = ("captured", "lost", "dropped_at_source", "corrupt", "reconnects", "resized")
        counts = {
            name: core.CounterMetricFamily(
                f"edgesdk_source_{name}", f"{name} as the source counts", labels=("stream",)
            )
            for name in names
        }
        for stream in self._streams:
            ask = getattr(stream.source, "stats", None)
            if ask is None:
                continue
            stats, shown = ask(), hide_password(stream.name)
            for each in STATES:
                state.add_metric((shown, each), float(stats.state == each))
            for name, family in counts.items():
                family.add_metric((shown,), float(getattr(stats, name)))
        yield state
        yield from counts.values()
