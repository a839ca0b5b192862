"""Draws the traffic on the road: shadows, light on the ground, vehicles, glare, the sensor."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.sim.camera import Camera, Points
from edgesdk.sim.flow import Vehicle
from edgesdk.sim.light import Daylight, Light
from edgesdk.sim.road import Picture, Road
from edgesdk.sim.settings import TrafficSettings
from edgesdk.sim.sight import Sight, in_order

_COARSE = 4
_SHIFT = 4
_BEAM_M = ((0.0, 0.5), (9.0, 1.7))
_HEAD_BGR = np.array([200.0, 235.0, 255.0])
_TAIL_BGR = np.array([30.0, 25.0, 230.0])


class Renderer:
    """Draws any moment of a scene."""

    def __init__(
        self, settings: TrafficSettings, camera: Camera, road: Road, daylight: Daylight
    ) -> None:
        self._settings, self._camera, self._road = settings, camera, road
        self._daylight = daylight
        self._cv2: ModuleType = require("cv2", "draw simulated scenes")
        rng = np.random.default_rng((settings.seed, 6))
        size = (settings.height + 64, settings.width + 64, 3)
        self._grain = np.clip(rng.normal(0, 42, size), -127, 127).astype(np.int8)

    def draw(self, index: int, time_s: float, vehicles: list[Vehicle]) -> Picture:
        """The picture at a time: height x width x 3, BGR."""
        light = self._daylight.at(time_s)
        sights = in_order(self._camera, vehicles, time_s)
        picture = self._ground(light)
        self._shadows(picture, sights, light)
        if light.lamps > 0:
            self._add(picture, self._beams(sights, light))
        for sight in sights:
            self._vehicle(picture, sight, light)
        if light.lamps > 0:
            self._add(picture, self._glare(sights, light))
        picture = self._cv2.GaussianBlur(picture, (3, 3), 0.6)
        return self._sensed(picture, index, light)

    def _ground(self, light: Light) -> Picture:
        steps = np.arange(256)[:, None] * light.gain
        table = np.clip(steps, 0, 255).astype(np.uint8)[None]
        picture: Picture = self._cv2.LUT(self._road.day, table)
        if light.lamps > 0:
            self._cv2.scaleAdd(self._road.lamps, light.lamps, picture, picture)
        return picture

    def _shadows(self, picture: Picture, sights: list[Sight], light: Light) -> None:
        """Cast by the sun, and the darkness under each vehicle."""
        shade = np.full_like(picture, 255)
        east, ahead = self._daylight.shadow_m
        for sight in sights:
            corners = sight.world.reshape(-1, 3)
            if light.sun > 0.02:
                cast = corners[:, :2] + corners[:, 2:] * (east, ahead)
                self._fill(shade, self._hull_on_road(cast), _grey(1 - light.sun))
            self._fill(shade, self._hull_on_road(corners[:, :2]), _grey(0.6 - 0.5 * light.sun))
        shade = self._cv2.blur(shade, (3, 3))
        self._cv2.multiply(picture, shade, picture, 1 / 255)

    def _hull_on_road(self, places: Points) -> Points:
        flat = np.column_stack([places, np.zeros(len(places))])
        hull: Points = self._cv2.convexHull(self._camera.project(flat).astype(np.float32))
        return hull.reshape(-1, 2)

    def _beams(self, sights: list[Sight], light: Light) -> Picture:
        layer = self._coarse_layer()
        for sight in sights:
            vehicle = sight.vehicle
            front = np.ptp(sight.world[..., 1]) / 2
            middle = sight.world[..., 1].mean()
            outline = [
                (vehicle.x_m + side * half, middle + vehicle.heading * (front + ahead), 0)
                for side, row in ((-1, _BEAM_M), (1, _BEAM_M[::-1]))
                for ahead, half in row
            ]
            points = self._camera.project(np.array(outline, np.float64)) / _COARSE
            self._fill(layer, points, (0.2 * light.lamps * _HEAD_BGR).tolist())
        return self._spread(layer, 9)

    def _glare(self, sights: list[Sight], light: Light) -> Picture:
        layer = self._coarse_layer()
        for sight in sights:
            lit = sight.vehicle.mesh.lamp & _faces_camera(sight.faces)
            for face, paint in zip(sight.faces[lit], sight.vehicle.mesh.paint[lit], strict=True):
                colour = _HEAD_BGR if paint[0] > 100 else _TAIL_BGR
                x, y = face.mean(axis=0) / _COARSE
                radius = max(1, round(np.ptp(face[:, 0]) / _COARSE))
                self._cv2.circle(layer, (round(x), round(y)), radius,
                                 (0.5 * light.lamps * colour).tolist(), -1)  # fmt: skip
        return self._spread(layer, 5)

    def _coarse_layer(self) -> Picture:
        return np.zeros(
            (self._settings.height // _COARSE, self._settings.width // _COARSE, 3), np.uint8
        )

    def _spread(self, layer: Picture, by: int) -> Picture:
        size = (self._settings.width, self._settings.height)
        soft = self._cv2.GaussianBlur(layer, (by, by), 0)
        spread: Picture = self._cv2.resize(soft, size, interpolation=self._cv2.INTER_LINEAR)
        return spread

    def _add(self, picture: Picture, layer: Picture) -> None:
        self._cv2.add(picture, layer, picture)

    def _vehicle(self, picture: Picture, sight: Sight, light: Light) -> None:
        mesh, heading = sight.vehicle.mesh, sight.vehicle.heading
        paint = self._lit(sight, light)
        order = np.argsort(mesh.group if heading < 0 else -mesh.group, kind="stable")
        order = order[_faces_camera(sight.faces)[order]]
        for face, bgr in zip(_fixed(sight.faces[order]), paint[order].tolist(), strict=True):
            self._cv2.fillConvexPoly(picture, face, bgr, self._cv2.LINE_AA, _SHIFT)

    def _lit(self, sight: Sight, light: Light) -> Points:
        """The colour of each face: sky from above, the sun, street lamps, its own lamps."""
        mesh, heading = sight.vehicle.mesh, sight.vehicle.heading
        normals = mesh.normals[:, [1, 0, 2]] * (-heading, heading, 1)
        sky = 0.62 + 0.3 * normals[:, 2] * (1 - light.sun)
        sun = 0.9 * light.sun * np.maximum(0, normals @ self._daylight.towards_sun)
        x, v = sight.world[..., 0].mean(axis=1), sight.world[..., 1].mean(axis=1)
        street = light.lamps * self._road.pool(x, v) * (0.4 + 0.4 * normals[:, 2])
        lit = mesh.paint * ((sky + sun)[:, None] * light.gain + street[:, None])
        glow = (mesh.lamp * light.lamps)[:, None]
        lamps = np.where(mesh.paint[:, :1] > 100, _HEAD_BGR, _TAIL_BGR)
        shown: Points = np.clip(lit * (1 - glow) + glow * lamps, 0, 255)
        return shown

    def _fill(self, picture: Picture, points: Points, bgr: Sequence[float]) -> None:
        self._cv2.fillConvexPoly(picture, _fixed(points), bgr, self._cv2.LINE_AA, _SHIFT)

    def _sensed(self, picture: Picture, index: int, light: Light) -> Picture:
        """Noise: one large piece of grain, shifted by the frame's number."""
        if light.noise <= 0:
            return picture
        rng = np.random.default_rng((self._settings.seed, 7, index))
        top, left = rng.integers(0, 64, 2)
        high, wide = picture.shape[:2]
        grain = self._grain[top : top + high, left : left + wide]
        sum_: Picture = self._cv2.addWeighted(
            picture, 1.0, grain, light.noise / 42, 0, dtype=self._cv2.CV_8U
        )
        return sum_


def _faces_camera(faces: Points) -> NDArray[np.bool_]:
    """Corners that were anticlockwise from outside are so in the picture, where y grows down."""
    x, y = faces[..., 0], faces[..., 1]
    area = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    facing: NDArray[np.bool_] = area < 0
    return facing


def _fixed(points: Points) -> NDArray[np.int32]:
    # cv2 counts from the middle of the first pixel; what is far outside is cut for its sake.
    scaled = np.clip((points - 0.5) * 2**_SHIFT, -(2**18), 2**18)
    fixed: NDArray[np.int32] = scaled.round().astype(np.int32)
    return fixed


def _grey(share: float) -> tuple[float, float, float]:
    return (255 * share,) * 3
