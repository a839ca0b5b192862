"""What goes wrong with a simulated camera: which fault befalls which frame.

Everything is decided by the settings and the frame's number and time alone, so a run with the same
seed has the same faults, and a test can ask beforehand what will happen to a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Missing = Literal["", "dropped", "frozen", "disconnected"]
"""Why a frame never comes; empty: it comes."""


@dataclass(frozen=True)
class FaultSettings:
    """How often what goes wrong; by default nothing does. Raises ValueError for a bad value."""

    seed: int = 0
    """Chooses the frames that are hit; 0 or more."""
    live: bool = False
    """Frames come at their rate, as from a camera, instead of as fast as they can be made."""
    drop: float = 0.0
    """Share 0..1 of frames that are lost: their numbers are left out."""
    corrupt: float = 0.0
    """Share 0..1 of frames that come garbled in their lower part, as after a lost packet."""
    jitter_s: float = 0.0
    """A frame comes late by up to so many seconds, at random; live only."""
    freeze_s: float = 0.0
    """For so many seconds no frame comes, though the source stays open."""
    freeze_every_s: float = 30.0
    """From the beginning of one freeze to the next; the first comes after so many seconds."""
    disconnect_s: float = 1.0
    """How long a source that was disconnected stays away."""
    disconnect_every_s: float = 0.0
    """It is disconnected every so many seconds; 0: never."""
    clock_jump_s: float = 0.0
    """Media time jumps by so many seconds, back when negative; the monotonic clock does not."""
    clock_jump_every_s: float = 10.0
    """Between two jumps; they add up."""
    resize_every_s: float = 0.0
    """The picture changes between full and half size every so many seconds; 0: never."""
    fail_after_s: float = 0.0
    """The source fails for good after so many seconds, like a device pulled out; 0: never."""

    def __post_init__(self) -> None:
        for name in ("drop", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} should be from 0 to 1, found {getattr(self, name)}")
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            least = -math.inf if name == "clock_jump_s" else 0
            if not (least <= value and math.isfinite(value)):
                raise ValueError(f"{name} should be a number from 0, found {value}")
        for name in ("freeze", "disconnect", "clock_jump"):
            every = getattr(self, f"{name}_every_s")
            if name != "disconnect" and every <= 0:
                raise ValueError(f"{name}_every_s should be more than 0, found {every}")
            if name != "clock_jump" and 0 < every <= getattr(self, f"{name}_s"):
                raise ValueError(
                    f"{name}_s should be shorter than {name}_every_s ({every:g}),"
                    f" found {getattr(self, f'{name}_s'):g}"
                )

    @property
    def any(self) -> bool:
        """Whether frames are changed, lost or kept waiting at all."""
        return self != FaultSettings(seed=self.seed)

    def at(self, index: int, time_ns: int) -> Fault:
        """What befalls the frame of this number and media time."""
        rng = np.random.default_rng((self.seed, 20, index))
        dropped, corrupt, late = rng.random(3)
        time_s = time_ns / 1e9
        return Fault(
            missing=self._missing(time_s, dropped < self.drop),
            corrupt=bool(corrupt < self.corrupt),
            late_ns=round(late * self.jitter_s * 1e9),
            clock_ns=round(int(time_s / self.clock_jump_every_s) * self.clock_jump_s * 1e9),
            halved=self.resize_every_s > 0 and int(time_s / self.resize_every_s) % 2 == 1,
            fails=0 < self.fail_after_s <= time_s,
        )

    def _missing(self, time_s: float, dropped: bool) -> Missing:
        if _within(time_s, self.disconnect_every_s, self.disconnect_s):
            return "disconnected"
        if _within(time_s, self.freeze_every_s, self.freeze_s):
            return "frozen"
        return "dropped" if dropped else ""


@dataclass(frozen=True)
class Fault:
    """What befalls one frame."""

    missing: Missing
    corrupt: bool
    """Its lower part is garbled."""
    late_ns: int
    """It comes so much later than it was captured."""
    clock_ns: int
    """Its media time is wrong by so much."""
    halved: bool
    """It comes in half its size."""
    fails: bool
    """The source fails instead of giving it."""


def garbled(image: NDArray[np.uint8], seed: int, index: int) -> NDArray[np.uint8]:
    """A copy whose lower part is shifted and smeared in blocks of 16 rows.

    From a random row in the upper two thirds on, every block of 16 rows is moved sideways and
    carries the colours of the row above it, as a decoder leaves it after a lost packet.
    """
    rng = np.random.default_rng((seed, 21, index))
    spoilt: NDArray[np.uint8] = image.copy()
    height, width = image.shape[:2]
    for top in range(int(rng.integers(0, max(1, 2 * height // 3))), height, 16):
        block = image[top : top + 16]
        shift = int(rng.integers(width // 8 + 1, width + 1))
        moved = np.roll(block, shift, axis=1)
        if rng.random() < 0.5:
            moved = np.broadcast_to(moved[:1], block.shape)
        spoilt[top : top + 16] = moved ^ np.uint8(rng.integers(0, 4) * 64)
    return spoilt


def _within(time_s: float, every_s: float, lasts_s: float) -> bool:
    """Whether a fault that begins at every multiple of `every_s` but 0 holds at this time."""
    return every_s > 0 and time_s >= every_s and time_s % every_s < lasts_s
