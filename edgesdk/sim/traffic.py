"""A road seen by a camera: pictures, exact boxes and true crossings, any frame at any time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import DataError
from edgesdk.sim.camera import Camera
from edgesdk.sim.flow import Lane, Vehicle
from edgesdk.sim.light import Daylight
from edgesdk.sim.render import Renderer
from edgesdk.sim.road import Road
from edgesdk.sim.settings import TrafficSettings
from edgesdk.sim.sight import look, visible
from edgesdk.sim.vehicles import LABELS

__all__ = ["LABELS", "TrafficScene", "TrueCrossing"]

_LEAST_VISIBLE = 0.3
_LINE_AT = 0.6


@dataclass(frozen=True)
class TrueCrossing:
    """A vehicle's box centre passed the counting line."""

    frame: int
    """The first frame with the centre past the line."""
    vehicle: int
    """Its track_id in the truth."""
    class_id: int
    """Index into the scene's labels."""
    direction: Literal["down", "up"]
    """"down" is towards the camera, with y growing."""


class TrafficScene:
    """A simulated road camera. Frames depend on the settings and their number alone.

    Nothing is kept from frame to frame, so memory does not grow with the scene's length.
    """

    labels = LABELS

    def __init__(self, settings: TrafficSettings) -> None:
        self.settings = settings
        self._camera = Camera.of(settings)
        self._lanes = [Lane(settings, self._camera, i) for i in range(settings.lanes)]
        self._road = Road(settings, self._camera)
        self._renderer = Renderer(settings, self._camera, self._road, Daylight(settings))

    @property
    def line(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The horizontal counting line ((x1, y1), (x2, y2)) in pixels."""
        y = round(_LINE_AT * self.settings.height)
        return (0.0, float(y)), (float(self.settings.width), float(y))

    def frame(self, index: int) -> NDArray[np.uint8]:
        """The picture: height x width x 3, BGR. Raises DataError when there is no such frame."""
        time_s = self._time_s(index)
        return self._renderer.draw(index, time_s, self._vehicles(time_s))

    def truth(self, index: int) -> Detections:
        """The vehicles of which at least 30 % are seen, with class_id and track_id, score 1.

        A box holds the whole vehicle as far as it is in the picture, without its shadow.
        Raises DataError when there is no such frame.
        """
        time_s = self._time_s(index)
        shown = visible(self._camera, self._vehicles(time_s), time_s, _LEAST_VISIBLE)
        if not shown:
            return Detections.empty()
        return Detections(
            np.array([sight.box for sight in shown], np.float32),
            np.ones(len(shown), np.float32),
            np.array([sight.vehicle.class_id for sight in shown], np.int64),
            np.array([sight.vehicle.id for sight in shown], np.int64),
        )

    def crossings(self) -> tuple[TrueCrossing, ...]:
        """Every time a box centre passes the line within the scene, in order of frames."""
        end_s = (self.settings.frames - 1) / self.settings.fps
        vehicles = (v for lane in self._lanes for v in lane.between(0.0, end_s))
        found = [c for vehicle in vehicles for c in self._crossing(vehicle)]
        return tuple(sorted(found, key=lambda c: (c.frame, c.vehicle)))

    def _crossing(self, vehicle: Vehicle) -> Iterator[TrueCrossing]:
        """Bisects: a centre only ever moves one way."""
        fps = self.settings.fps
        low = max(0, math.ceil(vehicle.enters_s * fps))
        high = min(self.settings.frames - 1, math.floor(vehicle.leaves_s * fps))
        if high <= low or self._is_past(vehicle, low) or not self._is_past(vehicle, high):
            return
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_past(vehicle, middle) else (middle, high)
        direction: Literal["down", "up"] = "down" if vehicle.heading < 0 else "up"
        yield TrueCrossing(high, vehicle.id, vehicle.class_id, direction)

    def _is_past(self, vehicle: Vehicle, index: int) -> bool:
        """In its own direction. The line itself counts as past it downwards."""
        time_s, line_y = index / self.settings.fps, self.line[0][1]
        sight = look(self._camera, vehicle, time_s)
        if sight is None:
            return time_s > (vehicle.enters_s + vehicle.leaves_s) / 2
        centre_y = float(np.float32(sight.box[1]) + np.float32(sight.box[3])) / 2
        return centre_y >= line_y if vehicle.heading < 0 else centre_y < line_y

    def _vehicles(self, time_s: float) -> list[Vehicle]:
        return [vehicle for lane in self._lanes for vehicle in lane.at(time_s)]

    def _time_s(self, index: int) -> float:
        if not 0 <= index < self.settings.frames:
            raise DataError(
                f"there is no frame {index}: the scene has frames 0 to {self.settings.frames - 1}",
                "ask for more with frames=",
            )
        return index / self.settings.fps
