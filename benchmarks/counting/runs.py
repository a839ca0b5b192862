"""The app's own pipeline on one source, and what is true of that source."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.counting.matching import Passage
from edgesdk._progress import silent
from edgesdk.apps import App, RunRequest, prepare_run
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Precision
from edgesdk.pipeline import Packet
from edgesdk.sim import LABELS, TrafficScene, TrueCrossing, parse_uri


@dataclass
class Collected:
    """A sink that keeps the events."""

    name: str = "collected"
    events: list[Any] = field(default_factory=list)

    def accept(self, packet: Packet) -> None:
        """Take the events of a packet."""
        self.events += packet.events

    def tell(self, packet: Packet) -> None:
        """Take what the stages had left to tell at the end, as the app's own sinks do."""
        self.events += packet.events

    def close(self) -> None:
        """There is nothing to complete."""


def _passage(event: Any) -> Passage:
    return Passage(event.time_ms / 1e3, event.direction, event.label, event.x_px)


def counted(app: App, source: str, bundle: Path) -> list[Passage]:
    """What the app counts; one thread, so that scenes can run side by side."""
    sink = Collected()
    with prepare_run(app, RunRequest(source, bundle, threads=1), [sink]) as run:
        run.pipeline.run()
        crossing = run.streams[0].program.event
    return [_passage(event) for event in sink.events if isinstance(event, crossing)]


def truth(uri: str) -> list[Passage]:
    """What really crossed in a simulated scene."""
    scene = TrafficScene(parse_uri(uri))
    return [_true(scene, crossing) for crossing in scene.crossings()]


def _true(scene: TrafficScene, crossing: TrueCrossing) -> Passage:
    seen = scene.truth(crossing.frame)
    (rows,) = (seen.track_id == crossing.vehicle).nonzero()
    x_px = float(seen.xyxy[rows[0], 0::2].mean()) if len(rows) else None  # None: it is hidden
    time_s = crossing.frame / scene.settings.fps
    return Passage(time_s, crossing.direction, LABELS[crossing.class_id], x_px)


def built(model: str, precision: Precision, data: str, folder: Path) -> Path:
    """A bundle as `edgesdk build --device orin` makes it."""
    out = folder / f"{Path(model).name}-{precision}.edge"
    if not out.exists():
        order = BuildOrder(device="orin", model=model, precision=precision, data=data, out=out)
        request, path = resolve(order)
        build(request, path, silent)
    return out
