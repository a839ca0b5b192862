"""A page of a made-up app, fed by the test: packets whose figures are known."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.frames import Frame
from edgesdk.pipeline import Event, Packet
from edgesdk.pipeline.protocols import Source
from edgesdk.sinks import SinkFacts, StreamFacts, open_sink
from edgesdk.web import WebPage

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'edgesdk[web]'")

RED, BLUE = (40, 40, 220), (220, 60, 40)
"""BGR."""


@dataclass(frozen=True)
class Passed(Event):
    """Someone passed."""

    label: str
    direction: str

    @property
    def counted_as(self) -> tuple[str, str]:
        return self.label, self.direction


def halves(height: int = 180, width: int = 320) -> NDArray[np.uint8]:
    """Red on the left, blue on the right."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2] = RED
    image[:, width // 2 :] = BLUE
    return image


HALVES = halves()


def packet(
    index: int,
    *events: Event,
    source: str = "gate",
    image: NDArray[np.uint8] | None = None,
    timings_ns: Mapping[str, int] | None = None,
) -> Packet:
    shown = HALVES if image is None else image
    frame = Frame(shown, index, index * 40_000_000, time.monotonic_ns(), source)
    return Packet(frame, events=events, timings_ns=timings_ns or {"inference": 4_000_000})


def facts(*names: str, sources: Mapping[str, Source] | None = None) -> SinkFacts:
    streams = tuple(
        StreamFacts(name, (320, 180), 25.0, (sources or {}).get(name))
        for name in names or ("gate",)
    )
    return SinkFacts(
        app="gate watch",
        event=Passed,
        draw=lambda each: each.frame.image,
        streams=streams,
        columns=("in", "out"),
    )


@contextmanager
def page(uri: str = "web://127.0.0.1:0", of: SinkFacts | None = None) -> Iterator[WebPage]:
    sink = open_sink(uri, of or facts())
    assert isinstance(sink, WebPage)
    try:
        yield sink
    finally:
        sink.close()


@contextmanager
def feeding(sink: WebPage, fps: float = 25.0, *names: str) -> Iterator[list[int]]:
    """A run that goes on beside the test; gives the list with the number of frames so far."""
    done, over = [0], threading.Event()

    def run() -> None:
        while not over.wait(1 / fps):
            for name in names or ("gate",):
                sink.accept(packet(done[0], source=name))
            done[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


def connect(sink: WebPage) -> http.client.HTTPConnection:
    where = urlsplit(sink.address)
    return http.client.HTTPConnection("127.0.0.1", where.port, timeout=20)


def ask(
    sink: WebPage, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> Reply:
    """One request, answered whole."""
    connection = connect(sink)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, names, answer.read())
    finally:
        connection.close()


@contextmanager
def viewing(sink: WebPage, path: str) -> Iterator[http.client.HTTPResponse]:
    """An answer that goes on, such as a stream of pictures."""
    connection = connect(sink)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        with answer:  # it has the socket: the connection's own close would leave it open
            assert answer.status == 200
            yield answer
    finally:
        connection.close()


def next_event(answer: http.client.HTTPResponse) -> bytes:
    """The data of the next server-sent event."""
    while True:
        line = answer.readline()
        assert line, "the stream of events is over"
        if line.startswith(b"data: "):
            return line.removeprefix(b"data: ").strip()


def next_jpeg(answer: http.client.HTTPResponse) -> bytes:
    """The next picture of a motion JPEG."""
    length = 0
    while True:
        line = answer.readline()
        assert line, "the stream of pictures is over"
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        elif line == b"\r\n" and length:
            return answer.read(length)
