"""Counts what crosses lines and stays in zones, by class, direction and interval of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.apps import Scene
from edgesdk.pipeline import Event, Packet, Stage, Step
from edgesdk.traffic import Teller
from edgesdk.vision.classes import ClassMap
from edgesdk.vision.counting import CountingSettings
from edgesdk.vision.draw import Annotator
from edgesdk.vision.ground import Ground, SpeedSettings
from edgesdk.vision.line import Line
from edgesdk.vision.site import Site, SiteWatch
from edgesdk.vision.tracker import Tracker, TrackerSettings
from edgesdk.vision.zone import Zone, within

VEHICLES = ("car", "truck", "bus", "motorcycle")
"""For any traffic model, whether or not it knows motorcycles."""


@dataclass(frozen=True)
class Settings:
    """The table [settings] of app.toml, where each key is explained."""

    lines: tuple[Line, ...] = ()
    line: tuple[float, float, float, float] | None = None
    line_at: float = 0.6
    forward: str = "down"
    backward: str = "up"
    classes: tuple[str, ...] | dict[str, str] = VEHICLES
    regions: tuple[Zone, ...] = ()
    zones: tuple[Zone, ...] = ()
    ground: Ground | None = None
    interval_min: float = 15.0
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    counting: CountingSettings = field(default_factory=CountingSettings)
    speed: SpeedSettings = field(default_factory=SpeedSettings)

    def __post_init__(self) -> None:
        if not 0 < self.line_at < 1:
            raise ValueError(
                "line_at should be between 0 (top) and 1 (bottom), such as 0.6,"
                f" found {self.line_at:g}"
            )
        if not self.interval_min > 0:
            raise ValueError(f"interval_min should be above 0, found {self.interval_min:g}")
        x1, y1, x2, y2 = self.line or (0.0, 0.0, 1.0, 0.0)
        Line((x1, y1), (x2, y2), self.forward, self.backward)

    def site(self, scene: Scene) -> Site:
        """The lines and zones for pictures of this size."""
        y = float(round(self.line_at * scene.height))
        x1, y1, x2, y2 = self.line or (0.0, y, float(scene.width), y)
        one = Line((x1, y1), (x2, y2), self.forward, self.backward)
        lines = self.lines if self.lines and self.line is None else (one,)
        size = (scene.width, scene.height)
        site = Site(size, lines, self.zones, self.ground, self.regions)
        site.check()
        return site


class Program:
    """Boxes -> tracks -> crossings, visits, and their counts by interval."""

    event, *others = Teller.kinds

    def __init__(self, settings: Settings, scene: Scene) -> None:
        self.site = settings.site(scene)
        self.classes = ClassMap.of(settings.classes, scene.labels, optional=VEHICLES)
        labels, interval_s = self.classes.labels, 60 * settings.interval_min
        self._regions = settings.regions
        self._tracker = Tracker(settings.tracker, scene.fps)
        self._watch = SiteWatch(self.site, labels, settings.counting, settings.speed)
        self._teller = Teller(self.site, labels, scene.fps, scene.live, interval_s)
        self._annotate = Annotator(labels, self.site.lines, self.site.zones, settings.regions)
        self.columns = self._teller.columns

    def stages(self) -> tuple[Stage, ...]:
        """What comes after detection."""
        return (
            Step("select", self._select),
            Step("track", self._track),
            Step("count", self._count, self._finish),
        )

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """Boxes with their tracks, lines, zones, and the counts so far."""
        return self._annotate(packet.frame.image, packet.detections, self._watch.notes())

    def _select(self, packet: Packet) -> Packet:
        found = self.classes.select(packet.detections)
        return replace(packet, detections=within(found, self._regions))

    def _track(self, packet: Packet) -> Packet:
        found = self._tracker.update(packet.detections, packet.frame.index)
        found = replace(found, class_id=self.classes.rename(found.class_id))
        return replace(packet, detections=found)

    def _count(self, packet: Packet) -> Packet:
        frame, rename = packet.frame, self.classes.rename
        fresh = [replace(c, class_ids=rename(c.class_ids)) for c in self._tracker.confirmed_now]
        news = self._watch.update(packet.detections, frame.index, frame.time_ns / 1e9, fresh)
        return replace(packet, events=(*packet.events, *self._teller.events(frame, news)))

    def _finish(self, last: Packet) -> Sequence[Event]:
        """What one more frame would have made sure, and intervals that are not full."""
        return self._teller.rest(last.frame, self._watch.finish())
