"""Sources, stages and sinks made of nothing, for tests of the pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgesdk.frames import Frame
from edgesdk.pipeline import Packet, Step

IMAGE = np.zeros((4, 6, 3), np.uint8)
NO_WAIT: Callable[[int], None] = lambda index: None  # noqa: E731


class Frames:
    """A source made of nothing: `before` runs in its thread ahead of each frame."""

    fps = 10.0
    size = (6, 4)

    def __init__(
        self,
        count: int,
        before: Callable[[int], None] = NO_WAIT,
        live: bool = False,
        name: str = "made up",
    ) -> None:
        self.count = count
        self.live = live
        self.name = name
        self.closed_in: list[str] = []
        self.given = 0
        self.stopped = False
        self._before = before

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self.count):
            self._before(i)
            if self.stopped:
                return
            self.given += 1
            yield Frame(IMAGE, i, i * 100_000_000, time.monotonic_ns(), self.name)

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)


class Record:
    """A sink that remembers the numbers of the frames and how often it was closed."""

    def __init__(self, name: str = "record") -> None:
        self.name = name
        self.seen: list[int] = []
        self.sources: list[str] = []
        self.closed = 0

    def accept(self, packet: Packet) -> None:
        self.seen.append(packet.frame.index)
        self.sources.append(packet.frame.source)

    def close(self) -> None:
        self.closed += 1


@dataclass
class Shared:
    """A BatchStage that does nothing but what `work` does; it remembers its batches."""

    work: Callable[[Sequence[Packet]], None] = lambda packets: None
    batch: int = 1
    wait_s: float = 0.5
    joined: int = 0
    parallel: int = 1
    batches: list[list[tuple[str, int]]] = field(default_factory=list)
    name: str = "inference"

    def __call__(self, packet: Packet) -> Packet:
        return self.run_batch([packet])[0]

    def run_batch(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        self.batches.append([(p.frame.source, p.frame.index) for p in packets])
        self.work(packets)
        return packets


def sleeping(seconds: float, name: str = "slow") -> Step:
    def work(packet: Packet) -> Packet:
        time.sleep(seconds)
        return packet

    return Step(name, work)


def broken(at: int, error: Exception, name: str = "broken") -> Step:
    def work(packet: Packet) -> Packet:
        if packet.frame.index == at:
            raise error
        return packet

    return Step(name, work)


def our_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("edgesdk-")]


def within(seconds: float, work: Callable[[], object]) -> None:
    """Not a measurement: a bound with room, so that a hang is a failure."""
    start = time.monotonic()
    work()
    assert time.monotonic() - start < seconds
