"""What Prometheus fetches while an app runs."""

from __future__ import annotations

import dataclasses
import socket
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from edgesdk.errors import UsageError
from edgesdk.frames import Frame
from edgesdk.pipeline import Packet
from edgesdk.sinks import SinkFacts, open_sink, open_sinks
from edgesdk.sinks.metrics import Metrics
from tests.sinks.samples import facts, packet

parser = pytest.importorskip("prometheus_client.parser", reason="needs prometheus-client")


def fetched(sink: object) -> dict[tuple[str, frozenset[str]], float]:
    """Every sample by name and label values, which come in the order of the labels' names."""
    assert isinstance(sink, Metrics)
    with urllib.request.urlopen(f"http://127.0.0.1:{sink.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def opened(told: SinkFacts) -> Metrics:
    sink = open_sink("prometheus://127.0.0.1:0", told)
    assert isinstance(sink, Metrics)
    return sink


def test_frames_events_and_times_are_counted() -> None:
    sink = opened(facts("gate", "yard"))
    for index in (0, 1, 5):
        made = packet(index, "car", stream="gate")
        sink.accept(dataclasses.replace(made, timings_ns={"inference": 3_000_000}))
    sink.accept(packet(2, "bus", "bus", stream="yard"))
    found = fetched(sink)
    sink.close()
    assert found["edgesdk_frames_captured_total", frozenset({"gate"})] == 6
    assert found["edgesdk_frames_processed_total", frozenset({"gate"})] == 3
    assert found["edgesdk_frames_dropped_total", frozenset({"gate"})] == 3
    assert found["edgesdk_frames_dropped_total", frozenset({"yard"})] == 2
    assert found["edgesdk_events_total", frozenset({"gate", "car", "down"})] == 3
    assert found["edgesdk_events_total", frozenset({"yard", "bus", "down"})] == 2
    assert found["edgesdk_stage_seconds_count", frozenset({"inference"})] == 3
    assert found["edgesdk_stage_seconds_bucket", frozenset({"inference", "0.002"})] == 0
    assert found["edgesdk_stage_seconds_bucket", frozenset({"inference", "0.005"})] == 3
    assert found["edgesdk_frame_age_seconds_count", frozenset({"gate"})] == 3


@dataclass(frozen=True)
class Stats:
    """The figures of a source that is watched."""

    state: str = "frozen"
    captured: int = 40
    lost: int = 3
    dropped_at_source: int = 2
    corrupt: int = 1
    reconnects: int = 7
    resized: int = 0


class Camera:
    """A source that says how it stands."""

    name, fps, size, count, live = "cam", 25.0, (64, 48), None, True

    def stats(self) -> Any:
        return Stats()

    def __iter__(self) -> Iterator[Frame]:
        return iter(())

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_the_state_of_a_watched_source_is_shown() -> None:
    told = facts()
    stream = dataclasses.replace(told.streams[0], source=Camera())
    sink = opened(dataclasses.replace(told, streams=(stream,)))
    found = fetched(sink)
    sink.close()
    assert found["edgesdk_source_state", frozenset({"cam", "frozen"})] == 1
    assert found["edgesdk_source_state", frozenset({"cam", "streaming"})] == 0
    assert found["edgesdk_source_reconnects_total", frozenset({"cam"})] == 7
    assert found["edgesdk_source_lost_total", frozenset({"cam"})] == 3


class Queue:
    """A sink with figures of its own."""

    name = "mqtt"

    def accept(self, packet: Packet) -> None:
        pass

    def close(self) -> None:
        pass

    def gauges(self) -> Mapping[str, float]:
        return {"waiting": 12.0}


def test_how_much_waits_in_other_sinks_is_shown() -> None:
    sink = opened(facts())
    sink.observe([Queue(), sink])
    found = fetched(sink)
    sink.close()
    assert found["edgesdk_sink", frozenset({"mqtt", "waiting"})] == 12


def test_sinks_that_are_opened_together_know_of_each_other(tmp_path: Any) -> None:
    hook = f"http://127.0.0.1:9/x#outbox={tmp_path}/box.sqlite&flush=0s"
    sinks = open_sinks(["prometheus://127.0.0.1:0", hook], facts())
    found = fetched(sinks[0])
    for sink in sinks:
        sink.close()
    assert found["edgesdk_sink", frozenset({"http", "waiting"})] == 0


def test_a_password_in_a_stream_is_not_shown() -> None:
    name = "rtsp://admin:s3cret@10.0.0.7/live"
    sink = opened(facts(name))
    sink.accept(packet(0, "car", stream=name))
    found = fetched(sink)
    sink.close()
    assert "s3cret" not in str(found)
    assert (
        found["edgesdk_frames_processed_total", frozenset({"rtsp://admin:***@10.0.0.7/live"})] == 1
    )


def test_the_port_is_free_at_once_and_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    sink = opened(facts())
    port = sink.port
    fetched(sink)
    sink.close()
    again = open_sink(f"prometheus://127.0.0.1:{port}", facts())
    fetched(again)
    again.close()
    assert set(threading.enumerate()) <= before | {threading.current_thread()}


def test_a_port_that_is_taken_is_known_before_the_run() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            UsageError,
            match=f"metrics cannot be served on 127.0.0.1:{port}: Address already in use",
        ):
            open_sink(f"prometheus://127.0.0.1:{port}", facts())


def test_only_this_machine_may_ask_unless_told_otherwise() -> None:
    sink = open_sink("prometheus://", facts())
    assert isinstance(sink, Metrics)
    address = sink.address
    sink.close()
    assert address == "http://127.0.0.1:9464/metrics"
