"""Which vehicles are where at a moment, found without looking at any other moment.

Each lane is a row of time slots. A slot holds one long vehicle in its middle or up to two short
ones at its quarters, so whoever comes next is far enough behind, whatever the neighbours are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesdk.sim.camera import Camera
from edgesdk.sim.settings import TrafficSettings
from edgesdk.sim.vehicles import LABELS, LONGEST_M, Mesh, build

LANE_M = 3.5
_GAP_M = 3.5
_SPREAD = 0.06
_JITTER_S = 0.15
_LONG = 0.22
_SHORT_M = max(LONGEST_M["car"], LONGEST_M["motorcycle"])


@dataclass(frozen=True)
class Vehicle:
    """One vehicle on its way along a lane at constant speed."""

    id: int
    """Unique within the scene."""
    kind: str
    """One of LABELS."""
    look: int
    """Chooses size and paint."""
    lane_m: float
    """The middle of its lane, across the road."""
    aside_m: float
    """How far it drives from there, to the right."""
    heading: int
    """+1 up (away from the camera), -1 down."""
    start_m: float
    """v of its middle when it enters."""
    enters_s: float
    """When it enters, out of sight."""
    leaves_s: float
    """When it has left, out of sight."""
    speed_m_s: float
    """Along its heading."""

    @property
    def x_m(self) -> float:
        """Its middle's place across the road."""
        return self.lane_m + self.aside_m

    @property
    def class_id(self) -> int:
        """Index into LABELS."""
        return LABELS.index(self.kind)

    @property
    def mesh(self) -> Mesh:
        """Its shape."""
        return build(self.kind, self.look)

    def v_m(self, time_s: float) -> float:
        """Where its middle is along the road."""
        return self.start_m + self.heading * self.speed_m_s * (time_s - self.enters_s)


class Lane:
    """The vehicles of one lane."""

    def __init__(self, settings: TrafficSettings, camera: Camera, index: int) -> None:
        rng = np.random.default_rng((settings.seed, 2, index))
        self._settings, self._index = settings, index
        self.x_m = LANE_M * (index + 0.5 - settings.lanes / 2)
        self.heading = -1 if self.x_m < 0 else 1
        # A roof 3.6 m high is seen past the picture's lower edge, hence the 0.65.
        low, high = 0.65 * camera.near_m - 6.5, camera.far_m + 6.5
        self._start_m, self._run_m = (low if self.heading > 0 else high), high - low
        self._speed_m_s = rng.uniform(7.0, 12.5)
        slowest, fastest = self._speed_m_s * (1 - _SPREAD), self._speed_m_s * (1 + _SPREAD)
        catch_up_s = self._run_m / slowest - self._run_m / fastest
        self._slot_s = 2 * ((_SHORT_M + _GAP_M) / slowest + catch_up_s + 2 * _JITTER_S)
        self._run_s = self._run_m / slowest
        self._lead = math.ceil(self._run_s / self._slot_s) + 1

    def at(self, time_s: float) -> Iterator[Vehicle]:
        """The vehicles that have entered and not left."""
        return self.between(time_s, time_s)

    def between(self, start_s: float, end_s: float) -> Iterator[Vehicle]:
        """The vehicles that are on their way at some time from start to end."""
        first = self._lead + math.floor((start_s - self._run_s) / self._slot_s) - 1
        last = self._lead + math.floor(end_s / self._slot_s) + 1
        for slot in range(max(first, 0), last + 1):
            for vehicle in self._slot(slot):
                if vehicle.enters_s <= end_s and vehicle.leaves_s >= start_s:
                    yield vehicle

    def _slot(self, slot: int) -> Iterator[Vehicle]:
        rng = np.random.default_rng((self._settings.seed, 3, self._index, slot))
        long = rng.random() < _LONG
        for place in (0.5,) if long else (0.25, 0.75):
            kinds = ("truck", "bus") if long else ("car", "motorcycle")
            kind = kinds[int(rng.random() > (0.55 if long else 0.8))]
            vehicle = self._vehicle(rng, slot, place, kind)
            if rng.random() < self._settings.density:
                yield vehicle

    def _vehicle(self, rng: np.random.Generator, slot: int, place: float, kind: str) -> Vehicle:
        aside = 0.7 if kind == "motorcycle" else 0.2
        enters_s = (slot - self._lead + place) * self._slot_s
        enters_s += rng.uniform(-_JITTER_S, _JITTER_S)
        speed = self._speed_m_s * rng.uniform(1 - _SPREAD, 1 + _SPREAD)
        return Vehicle(
            id=2 * (slot * self._settings.lanes + self._index) + int(place > 0.5),
            kind=kind,
            look=int(rng.integers(2**31)),
            lane_m=self.x_m,
            aside_m=rng.uniform(-aside, aside),
            heading=self.heading,
            start_m=self._start_m,
            enters_s=enters_s,
            leaves_s=enters_s + self._run_m / speed,
            speed_m_s=speed,
        )
