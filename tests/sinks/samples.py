"""Events, packets and runs for the tests of sinks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk.frames import Frame
from edgesdk.pipeline import Event, Packet
from edgesdk.sinks import SinkFacts, StreamFacts


@dataclass(frozen=True)
class Passed(Event):
    label: str
    x_px: float

    @property
    def counted_as(self) -> tuple[str, str]:
        return self.label, "down"


def facts(*streams: str, app: str = "gate", run_id: str = "RUN") -> SinkFacts:
    made = tuple(StreamFacts(name, (64, 48), 25.0) for name in streams or ("cam",))
    return SinkFacts(app, Passed, lambda p: p.frame.image.copy(), made, run_id=run_id)


def packet(index: int, *labels: str, stream: str = "cam", level: int = 0) -> Packet:
    image = np.full((48, 64, 3), level, np.uint8)
    frame = Frame(image, index, index * 40_000_000, time.monotonic_ns(), stream)
    return Packet(frame, events=tuple(Passed(index, index * 40.0, label, 1.5) for label in labels))


def eventually(true: Callable[[], bool], within_s: float = 20.0) -> None:
    """Fail unless it becomes true; the bound is wide, for a busy machine."""
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
