"""What goes wrong with a simulated camera: which fault befalls which frame.

Everything is decided by the settings and the frame's number and time alone, so a run with the same
seed has the same faults, and a test can ask beforehand what will happen to a frame.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Missing = Literal["", "dropped", "frozen", "disconnected"]
"""Why a frame never comes; empty: it comes."""

_LONGEST_S = 1e8


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
        for field in fields(self):
            value = getattr(self, field.name)
            least = -_LONGEST_S if field.name == "clock_jump_s" else 0
            if field.name != "seed" and not least <= value <= _LONGEST_S:
                raise ValueError(
                    f"{field.name} should be from {least:g} to {_LONGEST_S:g}, found {value}"
                )
        if self.seed < 0:
            raise ValueError(f"seed should be 0 or more, found {self.seed}")
        self._check_spans()

    def _check_spans(self) -> None:
        for name in ("freeze_every_s", "clock_jump_every_s"):
            if getattr(self, name) < 1e-3:
                raise ValueError(f"{name} should be 0.001 or more, found {getattr(self, name)}")
        for name in ("disconnect_every_s", "resize_every_s"):
            if 0 < getattr(self, name) < 1e-3:
                raise ValueError(f"{name} should be 0 or more than 0.001")
        for name in ("freeze", "disconnect"):
            lasts_s, every_s = getattr(self, f"{name}_s"), getattr(self, f"{name}_every_s")
            if 0 < every_s <= lasts_s:
                raise ValueError(
                    f"{name}_s should be shorter than {name}_every_s ({every_s:g}),"
                    f" found {lasts_s:g}"
                )

    @property
    def any(self) -> bool:
        """Whether frames are changed, lost or kept waiting at all."""
        return self != FaultSettings(seed=self.seed)

    def at(self, index: int, time_ns: int) -> Fault:
        """What befalls the frame of this number and media time."""
        rng = np.random.default_rng((self.seed, 20, index))
        dropped, corrupt, late = rng.random(3)
        return Fault(
            missing=self._missing(time_ns, dropped < self.drop),
            corrupt=bool(corrupt < self.corrupt),
            late_ns=round(late * self.jitter_s * 1e9),
            clock_ns=_spans(time_ns, self.clock_jump_every_s) * _ns(self.clock_jump_s),
            halved=_spans(time_ns, self.resize_every_s) % 2 == 1,
            fails=0 < _ns(self.fail_after_s) <= time_ns,
        )

    def _missing(self, time_ns: int, dropped: bool) -> Missing:
        if _within(time_ns, self.disconnect_every_s, self.disconnect_s):
            return "disconnected"
        if _within(time_ns, self.freeze_every_s, self.freeze_s):
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


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _spans(time_ns: int, every_s: float) -> int:
    """How many whole spans of `every_s` have passed; 0 where it is 0."""
    return time_ns // _ns(every_s) if every_s else 0


def _within(time_ns: int, every_s: float, lasts_s: float) -> bool:
    """Whether a fault that begins at every multiple of `every_s` but 0 holds at this time."""
    return _spans(time_ns, every_s) > 0 and time_ns % _ns(every_s) < _ns(lasts_s)
