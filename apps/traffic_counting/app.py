"""Counts vehicles that cross a line, by class and direction."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.apps import Scene
from edgesdk.errors import UnknownName, UsageError
from edgesdk.frames import Frame
from edgesdk.pipeline import Event, Packet, Stage, Step
from edgesdk.vision.counting import CountingSettings, LineCounter
from edgesdk.vision.draw import Annotator
from edgesdk.vision.line import Line
from edgesdk.vision.tracker import Tracker, TrackerSettings


@dataclass(frozen=True)
class Settings:
    """The table [settings] of app.toml."""

    line: tuple[float, float, float, float] | None = None
    """x1, y1, x2, y2 in pixels of the picture. None: straight across it, at `line_at`."""
    line_at: float = 0.6
    """Height of that line as a share of the picture's height, 0 at the top."""
    classes: tuple[str, ...] = ("car", "truck", "bus", "motorcycle")
    """What to count, by label; the model's other classes are passed over."""
    forward: str = "down"
    """Name of the direction from the line's left to its right, walked from (x1, y1)."""
    backward: str = "up"
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    counting: CountingSettings = field(default_factory=CountingSettings)

    def __post_init__(self) -> None:
        if self.forward == self.backward:
            raise ValueError(
                f"forward and backward should be two names, found {self.forward!r} for both"
            )
        if not 0 < self.line_at < 1:
            raise ValueError(
                f"line_at should be between 0 (top) and 1 (bottom), such as"
                f" {Settings.line_at}, found {self.line_at:g}"
            )


@dataclass(frozen=True)
class Crossing(Event):
    """One vehicle went over the line."""

    label: str
    direction: str
    track_id: int
    x_px: float
    """Where its path met the line."""
    y_px: float

    @property
    def counted_as(self) -> tuple[str, str]:
        """By class and direction."""
        return self.label, self.direction


class Program:
    """Boxes of vehicles -> tracks -> crossings."""

    event = Crossing

    def __init__(self, settings: Settings, scene: Scene) -> None:
        self.columns = (settings.forward, settings.backward)
        self.wanted = _wanted(settings.classes, scene.labels)
        """Class indices that are counted."""
        self.line = _line(settings, scene)
        self._fps = scene.fps
        self._tracker = Tracker(settings.tracker, scene.fps)
        self._counter = LineCounter(self.line, scene.labels, settings.counting)
        self._annotate = Annotator(scene.labels, self.line)

    def stages(self) -> tuple[Stage, ...]:
        """What comes after detection."""
        return Step("select", self._select), Step("track", self._track), Step("count", self._count)

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """Boxes with their tracks, the line, and the counts so far."""
        return self._annotate(packet.frame.image, packet.detections, self._counter.totals)

    def _select(self, packet: Packet) -> Packet:
        found = packet.detections
        return replace(packet, detections=found[np.isin(found.class_id, self.wanted)])

    def _track(self, packet: Packet) -> Packet:
        tracked = self._tracker.update(packet.detections, packet.frame.index)
        return replace(packet, detections=tracked)

    def _count(self, packet: Packet) -> Packet:
        frame = packet.frame
        crossings = self._counter.update(packet.detections, frame.index)
        events = [
            Crossing(
                c.frame_index,
                self._time_ms(frame, c.frame_index),
                c.label,
                c.direction,
                c.track_id,
                round(c.x_px, 1),
                round(c.y_px, 1),
            )
            for c in crossings
        ]
        return replace(packet, events=(*packet.events, *events))

    def _time_ms(self, frame: Frame, index: int) -> float:
        """Media time of the frame `index`, a little before `frame`, where a path met the line."""
        return round(frame.time_ns / 1e6 - (frame.index - index) * 1000 / self._fps, 3)


def _wanted(classes: tuple[str, ...], labels: tuple[str, ...]) -> list[int]:
    wanted = [i for i, label in enumerate(labels) if label in classes]
    if not wanted:
        raise UsageError(
            f"the model knows none of the classes to count: {', '.join(classes)}",
            f"it knows {', '.join(labels[:12]) or 'no labels'}; choose with --set classes=[...]",
        )
    for name in classes:
        # The default is for any traffic model, whether or not it knows motorcycles.
        if name not in labels and name not in Settings.classes:
            raise UnknownName("class in the model", name, labels)
    return wanted


def _line(settings: Settings, scene: Scene) -> Line:
    y = float(round(settings.line_at * scene.height))
    x1, y1, x2, y2 = settings.line or (0.0, y, float(scene.width), y)
    line, hint = f"{x1:g},{y1:g},{x2:g},{y2:g}", f"such as --line 0,{y:g},{scene.width},{y:g}"
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise UsageError(f"the line {line} takes four finite numbers", hint)
    if (x1, y1) == (x2, y2):
        raise UsageError(f"the line {line} has no length: it begins where it ends", hint)
    beyond_x = max(x1, x2) < 0 or min(x1, x2) > scene.width
    beyond_y = max(y1, y2) < 0 or min(y1, y2) > scene.height
    if beyond_x or beyond_y:
        raise UsageError(
            f"the line {line} is not in the pictures, which are {scene.width}x{scene.height}",
            hint,
        )
    return Line((x1, y1), (x2, y2), settings.forward, settings.backward)
