"""The figures of the page, against ones worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from edgesdk.pipeline import Event
from edgesdk.pipeline.protocols import Sink, Source, SourceStats
from edgesdk.web.board import HISTORY_S, LAST_EVENTS, MOST_ROWS, MOST_STREAMS, Board
from edgesdk.web.words import without_secrets
from tests.web.running import Passed, facts, packet

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Weighed(Event):
    weight_kg: float


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now_ns


def state(board: Board) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(board.message())
    return whole


def give(board: Board, clock: Clock, index: int, age_ms: float = 0, source: str = "gate") -> None:
    one = packet(index, source=source)
    captured_ns = clock.now_ns - round(age_ms * 1e6)
    board.add(replace(one, frame=replace(one.frame, captured_ns=captured_ns)))


def test_rate_age_and_loss_of_a_stream() -> None:
    clock = Clock()
    board = Board(facts(), clock)
    # 20 frames, one each 50 ms; every second one of the source's numbers never came.
    for n in range(20):
        clock.now_ns += SECOND // 20
        give(board, clock, 2 * n + 1, age_ms=n + 1)
    (gate,) = state(board)["streams"]
    assert gate["fps"] == 20.0
    assert gate["processed"] == 20
    assert gate["dropped"] == 20
    assert gate["age_ms"] == {"median": 10.0, "p95": 19.0}  # nearest rank of 1..20
    assert gate["state"] == "streaming"
    clock.now_ns += 5 * SECOND
    (gate,) = state(board)["streams"]
    assert (gate["fps"], gate["state"], gate["since_s"]) == (0.0, "silent", 5)


class Lossy:
    """A camera that says how many frames never reached us."""

    name, fps, size, count, live = "gate", 25.0, (320, 180), None, True

    def stats(self) -> SourceStats:
        return SourceStats("streaming", captured=20, lost=15)


def test_what_the_camera_lost_is_not_called_dropped() -> None:
    clock = Clock()
    board = Board(facts(sources={"gate": cast(Source, Lossy())}), clock)
    for n in range(20):
        give(board, clock, 2 * n + 1)
    (gate,) = state(board)["streams"]
    assert (gate["dropped"], gate["lost"]) == (5, 15)


def test_stage_times_are_of_the_last_frames_and_total_stands_last() -> None:
    board = Board(facts())
    for n in range(1, 401):  # the first 100 are forgotten
        board.add(packet(n, timings_ns={"a": n * 1_000_000, "b": 2_000_000}))
    assert state(board)["stages"] == [
        {"name": "a", "median": 250.0, "p95": 385.0},  # of 101..400
        {"name": "b", "median": 2.0, "p95": 2.0},
        {"name": "total", "median": 252.0, "p95": 387.0},
    ]


def test_the_history_has_one_value_a_second_and_gaps_where_nothing_came() -> None:
    clock = Clock()
    board = Board(facts(), clock)
    for frames in (3, 0, 2):
        for n in range(frames):
            give(board, clock, n)
        clock.now_ns += SECOND
    history = state(board)["history"]
    assert history == {"fps": [3, 0, 2], "total_ms": [4.0, None, 4.0]}
    clock.now_ns += 10 * HISTORY_S * SECOND
    assert state(board)["history"]["fps"] == [0] * HISTORY_S


def test_counts_have_the_apps_columns_first_and_rows_in_order() -> None:
    board = Board(facts())
    board.add(packet(0, Passed(0, 0, "dog", "in"), Passed(0, 0, "cat", "back")))
    board.add(packet(1, Passed(1, 0, "dog", "in")))
    assert state(board)["counts"] == {
        "columns": ["in", "out", "back"],
        "rows": [["cat", [0, 0, 1]], ["dog", [2, 0, 0]]],
    }


def test_an_endless_run_does_not_grow() -> None:
    """Events of ever new kinds from ever new sources, and the whole stays one small message."""
    board = Board(facts("a", "b"))
    for n in range(3000):
        board.add(packet(n, Passed(n, n, f"kind {n}", "in"), source=f"source {n}"))
    whole = state(board)
    assert len(whole["events"]) == LAST_EVENTS
    assert whole["events"][0]["frame"] == 2999
    assert len(whole["counts"]["rows"]) == MOST_ROWS
    assert len(whole["streams"]) == MOST_STREAMS
    assert len(board.message()) < 60_000


def test_pictures_of_a_set_are_one_stream_though_each_has_a_name() -> None:
    board = Board(facts("pictures/"))
    for n in range(5):
        board.add(packet(n, source=f"picture-{n}.jpg"))
    (stream,) = state(board)["streams"]
    assert (stream["name"], stream["processed"]) == ("pictures/", 5)


def test_figures_of_other_sinks_are_shown() -> None:
    class Queue:
        name = "mqtt"

        def accept(self, each: object) -> None: ...

        def close(self) -> None: ...

        def gauges(self) -> Mapping[str, float]:
            return {"waiting": 12}

    board = Board(facts())
    queue: Sink = Queue()
    board.observe([queue])
    assert state(board)["sinks"] == [{"name": "mqtt", "values": {"waiting": 12}}]


def test_not_a_number_is_no_value() -> None:
    board = Board(facts())
    board.add(packet(0, Weighed(0, 0.0, math.nan)))
    assert b"NaN" not in board.message()  # a browser would refuse the whole
    assert state(board)["events"][0]["values"] == {"weight_kg": None}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:pa55@10.0.0.1/live", "rtsp://10.0.0.1/live"),
        ("no answer from rtsp://u:p@h:554/x?a=1", "no answer from rtsp://h:554/x?a=1"),
        ("http://cam/video?token=abc&size=2", "http://cam/video?token=***&size=2"),
        ("sim://traffic?seed=3", "sim://traffic?seed=3"),
        ("mail@example.org", "mail@example.org"),
    ],
)
def test_names_lose_their_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
