"""The empty road: painted flat, seen from above, then put into the camera's perspective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.sim.camera import Camera, Points
from edgesdk.sim.flow import LANE_M
from edgesdk.sim.settings import TrafficSettings

Picture = NDArray[np.uint8]

_LAMP_EVERY_M = 17.0
_LEAVES = 90


class Road:
    """What stands still: the picture of the road by day and what the street lamps show of it."""

    def __init__(self, settings: TrafficSettings, camera: Camera) -> None:
        self._rng = np.random.default_rng((settings.seed, 5))
        self._camera, self._half_m = camera, settings.lanes * LANE_M / 2
        self._lamp_phase = self._rng.uniform(0, _LAMP_EVERY_M)
        self._near_m, self._far_m = 0.9 * camera.near_m, 1.05 * camera.far_m
        edge = np.array([[0, self._far_m, 0], [1, self._far_m, 0]])
        px_by_m = np.ptp(camera.project(edge)[:, 0])
        self._wide_m = camera.width / 2 / px_by_m + 2
        self._scale = 1.8 * px_by_m
        flat = self._flat()
        self.day = self._seen(np.clip(flat, 0, 255).astype(np.uint8))
        self._plant(self.day)
        pool = self._seen(np.clip(255 * self._pool_map(flat.shape), 0, 255).astype(np.uint8))
        warm = np.array([0.62, 0.85, 1.0]) * pool.astype(np.float64)[..., None] / 255
        self.lamps = np.clip(self.day * warm, 0, 255).astype(np.uint8)

    def pool(self, x_m: Points, v_m: Points) -> Points:
        """Light of the street lamps 0..1 at places on the road."""
        across = np.abs(np.abs(x_m) - self._half_m + 1.0)
        along = (v_m - self._lamp_phase + _LAMP_EVERY_M / 2) % _LAMP_EVERY_M - _LAMP_EVERY_M / 2
        light: Points = 0.75 * np.exp(-(across**2 / 40 + along**2 / 36))
        return light

    def _x(self, x_m: float) -> int:
        return round((x_m + self._wide_m) * self._scale)

    def _seen(self, flat: Picture) -> Picture:
        cv2 = require("cv2", "draw simulated scenes")
        corners = [(-1, self._far_m), (1, self._far_m), (1, self._near_m), (-1, self._near_m)]
        world = np.array([(x * self._wide_m, v, 0) for x, v in corners])
        high, wide = flat.shape[:2]
        source = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
        target = self._camera.project(world).astype(np.float32)
        size = (self._camera.width, self._camera.height)
        seen: Picture = cv2.warpPerspective(
            flat, cv2.getPerspectiveTransform(source, target), size,
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return seen

    def _pool_map(self, shape: tuple[int, ...]) -> Points:
        x = np.arange(shape[1]) / self._scale - self._wide_m
        v = self._far_m - np.arange(shape[0]) / self._scale
        return self.pool(x[None, :], v[:, None])

    def _flat(self) -> Points:
        size = (round((self._far_m - self._near_m) * self._scale), self._x(self._wide_m))
        grass = np.array([58, 96, 88]) + self._rng.normal(0, 6, 3)
        flat = grass + (14 * self._cloud(size, 40) + 16 * self._cloud(size, 5))[..., None]
        flat += self._rng.normal(0, 9, (*size, 1))
        self._band(flat, self._half_m + 3.4, np.array([150, 158, 162]) + self._rng.normal(0, 12))
        self._band(flat, self._half_m + 0.75, np.array([186, 188, 188]))
        self._asphalt(flat, size)
        self._markings(flat)
        return flat

    def _cloud(self, size: tuple[int, int], grain_px: float) -> Points:
        cv2 = require("cv2", "draw simulated scenes")
        small = self._rng.normal(0, 1, [max(2, round(n / grain_px)) for n in size])
        cloud: Points = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
        return cloud

    def _band(self, flat: Points, half_m: float, colour: Points) -> None:
        left, right = self._x(-half_m), self._x(half_m)
        texture = 3 * self._cloud((flat.shape[0], right - left), 30)
        texture += self._rng.normal(0, 3, texture.shape)
        flat[:, left:right] = colour + texture[..., None]

    def _asphalt(self, flat: Points, size: tuple[int, int]) -> None:
        left, right = self._x(-self._half_m - 0.5), self._x(self._half_m + 0.5)
        wide = (size[0], right - left)
        grey = self._rng.uniform(84, 122) + self._rng.normal(0, 2, 3)
        texture = 3 * self._cloud(wide, 60) + 3 * self._cloud(wide, 6)
        texture += self._rng.normal(0, 5, wide)
        x = np.arange(left, right) / self._scale - self._wide_m
        in_lane = (x + self._half_m) % LANE_M - LANE_M / 2
        texture -= 5 * np.exp(-((np.abs(in_lane) - 0.8) ** 2) / 0.08) - 2
        flat[:, left:right] = grey + texture[..., None]
        for _ in range(self._rng.integers(2, 7)):
            self._mend(flat, left, right)

    def _mend(self, flat: Points, left: int, right: int) -> None:
        high, wide = (self._rng.uniform(0.7, 5, 2) * self._scale).astype(int)
        top = int(self._rng.integers(0, max(1, flat.shape[0] - high)))
        start = int(self._rng.integers(left, max(left + 1, right - wide)))
        flat[top : top + high, start : min(start + wide, right)] *= self._rng.uniform(0.84, 1.1)

    def _markings(self, flat: Points) -> None:
        white = np.array([214, 218, 218]) - self._rng.uniform(0, 30)
        yellow = np.array([60, 176, 214])
        worn = np.clip(0.8 + 0.25 * self._cloud((flat.shape[0], flat.shape[1]), 8), 0.25, 1)
        middle = yellow if self._rng.random() < 0.5 else white
        for x_m in (-self._half_m + 0.15, self._half_m - 0.15):
            self._line(flat, worn, x_m, white, dashed=False)
        for x_m in (-0.16, 0.16):
            self._line(flat, worn, x_m, middle, dashed=False)
        for x_m in np.arange(-self._half_m + LANE_M, self._half_m - 0.1, LANE_M):
            if abs(x_m) > 0.1:
                self._line(flat, worn, x_m, white, dashed=True)

    def _line(self, flat: Points, worn: Points, x_m: float, paint: Points, dashed: bool) -> None:
        left, right = self._x(x_m - 0.09), self._x(x_m + 0.09) + 1
        v = np.arange(flat.shape[0]) / self._scale
        shown = worn[:, left:right] * ((v % 6 < 2.6) if dashed else np.ones(len(v)))[:, None]
        flat[:, left:right] += shown[..., None] * (paint - flat[:, left:right])

    def _plant(self, picture: Picture) -> None:
        places = self._rng.uniform(0, 1, (26, 3))
        for away, along, size in sorted(places.tolist(), key=lambda place: -place[1]):
            v_m = self._near_m + along * (self._far_m + 4 - self._near_m)
            side = 1 if size * 97 % 1 < 0.5 else -1
            x_m = side * (self._half_m + 6.2 + 16 * away**2)
            self._bush(picture, x_m, v_m, 0.7 + 1.6 * size)

    def _bush(self, picture: Picture, x_m: float, v_m: float, radius_m: float) -> None:
        cv2 = require("cv2", "draw simulated scenes")
        green = np.array([38, 78, 58]) + self._rng.normal(0, 10, 3)
        heights = np.linspace(0, 1, _LEAVES)
        leaves = np.column_stack([self._rng.normal(0, 0.4, (_LEAVES, 2)), 1.3 * heights])
        middle = np.array([x_m, v_m, 0]) + radius_m * leaves
        centres = self._camera.project(middle)
        edges = self._camera.project(middle + np.array([0.17 * radius_m, 0, 0]))
        shades = green * (0.45 + 0.9 * heights[:, None]) + self._rng.normal(0, 6, (_LEAVES, 1))
        for (x, y), (edge, _), bgr in zip(centres, edges, np.clip(shades, 0, 255), strict=True):
            radius = max(1, round(edge - x))
            cv2.circle(picture, (round(x), round(y)), radius, bgr.tolist(), -1, cv2.LINE_AA)
