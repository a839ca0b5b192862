"""How a vehicle appears in the picture: its faces, its box, and how much of it is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.sim.camera import Camera, Points
from edgesdk.sim.flow import Vehicle


@dataclass(frozen=True, eq=False)
class Sight:
    """One vehicle, at least partly within the picture."""

    vehicle: Vehicle
    """What is seen."""
    world: Points
    """Corners of its faces on the road (x, v, z) in metres, shape (F, 4, 3)."""
    faces: Points
    """The same in the picture in pixels, shape (F, 4, 2)."""
    outline: NDArray[np.float32]
    """Its convex outline cut to the picture, shape (K, 2)."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom of the outline in pixels."""
    whole_px2: float
    """Area of the outline if the picture had no edges."""
    inside_px2: float
    """Area of the outline within the picture."""


def look(camera: Camera, vehicle: Vehicle, time_s: float) -> Sight | None:
    """How a vehicle appears at a time, or None when it is out of the picture."""
    cv2 = require("cv2", "draw simulated scenes")
    world = _world(vehicle, time_s)
    faces = camera.project(world)
    hull = cv2.convexHull(faces.reshape(-1, 2).astype(np.float32))
    size = (camera.width, camera.height)
    frame = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
    inside_px2, outline = cv2.intersectConvexConvex(hull, frame)
    if inside_px2 < 1 or outline is None:
        return None
    outline = outline.reshape(-1, 2)
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    box = (float(left), float(top), float(right), float(bottom))
    return Sight(vehicle, world, faces, outline, box, float(cv2.contourArea(hull)), inside_px2)


def in_order(camera: Camera, vehicles: list[Vehicle], time_s: float) -> list[Sight]:
    """Those in the picture, so that each may cover the ones before it.

    Of two lanes the camera is on the inner one's side of the line between them, so the inner
    one covers the outer; within a lane the nearer vehicle covers the farther.
    """
    ordered = sorted(vehicles, key=lambda v: (-abs(v.lane_m - camera.x_m), -v.v_m(time_s)))
    return [s for s in (look(camera, vehicle, time_s) for vehicle in ordered) if s is not None]


def visible(camera: Camera, vehicles: list[Vehicle], time_s: float, least: float) -> list[Sight]:
    """Those of which a share of at least `least` is neither outside nor covered."""
    sights = in_order(camera, vehicles, time_s)
    return [s for i, s in enumerate(sights) if _seen_px2(s, sights[i + 1 :]) >= least * s.whole_px2]


def _seen_px2(sight: Sight, nearer: list[Sight]) -> float:
    cv2 = require("cv2", "draw simulated scenes")
    left, top, right, bottom = sight.box
    touching = [
        s
        for s in nearer
        if s.box[0] < right and s.box[2] > left and s.box[1] < bottom and s.box[3] > top
    ]
    covered = [cv2.intersectConvexConvex(sight.outline, s.outline)[0] for s in touching]
    return sight.inside_px2 - float(sum(covered))


def _world(vehicle: Vehicle, time_s: float) -> Points:
    a, b, z = np.moveaxis(vehicle.mesh.faces, -1, 0)
    x = vehicle.x_m - vehicle.heading * b
    v = vehicle.v_m(time_s) + vehicle.heading * a
    return np.stack([x, v, z], axis=-1)
