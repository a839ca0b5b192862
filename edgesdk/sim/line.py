"""A simulated inspection line: parts on a conveyor, some of them damaged, all of it known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.detections import Detections
from edgesdk.errors import DataError

LINE_LABELS = ("part", "scratch", "chip")
"""Classes of the truth: the part itself, and what is wrong with it."""

Shape = Literal["disc", "plate"]
Defect = Literal["", "scratch", "chip"]
Picture = NDArray[np.uint8]

_SIZE = 0.25
_SPACING = 2.0
_JITTER = 0.25
_LEAST_VISIBLE = 0.3
_SHIFT = 4
_LINK_PX = 64
_GRAIN = 42.0
_METALS = ((178, 182, 186), (150, 168, 184), (120, 150, 172))


@dataclass(frozen=True)
class LineSettings:
    """Everything the line depends on: two equal settings give equal pixels.

    Raises ValueError for a value out of range.
    """

    seed: int = 0
    """Chooses parts, defects and noise; 0 or more."""
    width: int = 640
    """Picture width in pixels, 64 or more."""
    height: int = 360
    """Picture height in pixels, 64 or more; a part measures a quarter of it."""
    fps: float = 25.0
    """Frames for each second of simulated time."""
    frames: int = 500
    """How many frames there are."""
    rate: float = 60.0
    """Parts a minute; the belt is as fast as that needs."""
    defects: float = 0.15
    """Share 0..1 of parts that are damaged."""
    noise: float = 3.0
    """Standard deviation of the sensor's noise in grey levels."""

    def __post_init__(self) -> None:
        ranges = {
            "seed": (0, 2**63 - 1),
            "width": (64, 4096),
            "height": (64, 4096),
            "fps": (1, 1000),
            "frames": (1, 10**9),
            "rate": (1, 600),
            "defects": (0, 1),
            "noise": (0, 50),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} should be from {low} to {high}, found {value}")


@dataclass(frozen=True)
class TruePart:
    """One part and what is wrong with it."""

    part: int
    """Its number, and its track_id in the truth."""
    frame: int
    """The first frame with its middle past the line."""
    shape: Shape
    defect: Defect
    """Empty: it is good."""


@dataclass(frozen=True)
class _Part:
    number: int
    shape: Shape
    defect: Defect
    aside_px: float
    """How far it lies from its place on the belt, along it."""
    across_px: float
    angle: float
    """Radians."""
    metal: tuple[int, int, int]
    defect_angle: float
    defect_size: float
    """0..1."""


class LineScene:
    """A camera above a conveyor that moves to the right. Frames depend on settings and number."""

    labels = LINE_LABELS

    def __init__(self, settings: LineSettings) -> None:
        self.settings = settings
        self._cv2: ModuleType = require("cv2", "draw simulated scenes")
        self._radius_px = _SIZE * settings.height / 2
        self._spacing_px = _SPACING * 2 * self._radius_px
        self._speed_px_s = self._spacing_px * settings.rate / 60
        rng = np.random.default_rng((settings.seed, 10))
        link = np.clip(44 + rng.normal(0, 5, (settings.height, _LINK_PX)), 0, 255).astype(np.uint8)
        link[:, 0] = 30
        belt = np.tile(link, (1, settings.width // _LINK_PX + 2))
        size = (settings.height + 64, settings.width + 64, 3)
        self._grain = np.clip(rng.normal(0, _GRAIN, size), -127, 127).astype(np.int8)
        self._belt: Picture = np.repeat(belt[..., None], 3, axis=2)

    @property
    def line(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The upright line ((x1, y1), (x2, y2)) in pixels at which parts are judged."""
        x = round(self.settings.width / 2)
        return (float(x), 0.0), (float(x), float(self.settings.height))

    def frame(self, index: int) -> Picture:
        """The picture: height x width x 3, BGR. Raises DataError when there is no such frame."""
        moved_px = self._moved_px(index)
        start = -round(moved_px) % _LINK_PX
        picture = self._belt[:, start : start + self.settings.width].copy()
        for part in self._parts_at(moved_px):
            self._draw(picture, part, self._middle(part, moved_px))
        picture = self._cv2.GaussianBlur(picture, (3, 3), 0.6)
        return self._sensed(picture, index)

    def truth(self, index: int) -> Detections:
        """Parts of which at least 30 % are seen, then their defects, with their part's track_id.

        Raises DataError when there is no such frame.
        """
        moved_px = self._moved_px(index)
        rows = [row for part in self._parts_at(moved_px) for row in self._boxes(part, moved_px)]
        rows.sort(key=lambda row: (row[1] > 0, row[2]))
        if not rows:
            return Detections.empty()
        return Detections(
            np.array([box for box, _, _ in rows], np.float32),
            np.ones(len(rows), np.float32),
            np.array([class_id for _, class_id, _ in rows], np.int64),
            np.array([number for _, _, number in rows], np.int64),
        )

    def parts(self) -> tuple[TruePart, ...]:
        """Every part whose middle passes the line within the scene, in order of frames."""
        end = self.settings.frames - 1
        first = self._parts_past(self._moved_px(0))
        last = self._parts_past(self._moved_px(end))
        found = (self._part(number) for number in range(max(0, first - 1), last + 2))
        passed = [
            TruePart(part.number, frame, part.shape, part.defect)
            for part, frame in ((part, self._passes(part)) for part in found)
            if 0 < frame <= end
        ]
        return tuple(sorted(passed, key=lambda part: (part.frame, part.part)))

    def _passes(self, part: _Part) -> int:
        """The first frame with its middle on the line or past it."""
        way_px = self.line[0][0] - self._middle(part, 0.0)[0]
        return math.ceil(way_px / self._speed_px_s * self.settings.fps - 1e-9)

    def _parts_past(self, moved_px: float) -> int:
        return math.floor((moved_px - self.line[0][0]) / self._spacing_px)

    def _moved_px(self, index: int) -> float:
        if not 0 <= index < self.settings.frames:
            raise DataError(
                f"there is no frame {index}: the scene has frames 0 to {self.settings.frames - 1}",
                "ask for more with frames=",
            )
        return self._speed_px_s * index / self.settings.fps

    def _parts_at(self, moved_px: float) -> list[_Part]:
        """Those that may be seen, and perhaps a few beside the picture."""
        newest = math.ceil(moved_px / self._spacing_px) + 1
        oldest = math.floor((moved_px - self.settings.width) / self._spacing_px) - 2
        return [self._part(number) for number in range(max(0, oldest), newest + 1)]

    def _part(self, number: int) -> _Part:
        rng = np.random.default_rng((self.settings.seed, 11, number))
        bad, which, shape, aside, across, angle, metal, place, size = rng.random(9)
        defect: Defect = ""
        if bad < self.settings.defects:
            defect = "scratch" if which < 0.5 else "chip"
        return _Part(
            number,
            "disc" if shape < 0.5 else "plate",
            defect,
            aside_px=(aside - 0.5) * 2 * _JITTER * self._radius_px,
            across_px=(across - 0.5) * self.settings.height * 0.3,
            angle=angle * math.pi / 2,
            metal=_METALS[int(metal * len(_METALS))],
            defect_angle=place * 2 * math.pi,
            defect_size=size,
        )

    def _middle(self, part: _Part, moved_px: float) -> tuple[float, float]:
        """Before the belt moves all parts wait left of the picture."""
        x = moved_px - self._spacing_px * (part.number + 0.5) + part.aside_px
        return x, self.settings.height / 2 + part.across_px

    def _outline(self, part: _Part, middle: tuple[float, float]) -> NDArray[np.float64]:
        """Corners of a plate, or many points of a disc, (N, 2)."""
        if part.shape == "disc":
            turns = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        else:
            turns = part.angle + np.arange(4) * math.pi / 2
        ring = np.column_stack([np.cos(turns), np.sin(turns)])
        outline: NDArray[np.float64] = np.array(middle) + self._radius_px * ring
        return outline

    def _flaw(self, part: _Part, middle: tuple[float, float]) -> NDArray[np.float64]:
        """Both ends of a scratch, or the middle of a chip and a point on its edge, (2, 2)."""
        along = np.array([math.cos(part.defect_angle), math.sin(part.defect_angle)])
        reach = self._radius_px * (0.25 + 0.25 * part.defect_size)
        if part.defect == "scratch":
            return np.array([middle - reach * along, middle + reach * along])
        corner = self._outline(part, middle)
        if part.shape == "plate":
            place = corner[int(part.defect_angle) % 4]
        else:
            place = np.array(middle) + self._radius_px * along
        return np.array([place, place + np.array([0.6 * reach, 0.0])])

    def _boxes(
        self, part: _Part, moved_px: float
    ) -> list[tuple[tuple[float, float, float, float], int, int]]:
        middle = self._middle(part, moved_px)
        outline = self._outline(part, middle)
        whole = (*outline.min(axis=0), *outline.max(axis=0))
        rows = [(whole, 0)]
        if part.defect:
            one, other = self._flaw(part, middle)
            thick = self._scratch_px / 2
            if part.defect == "scratch":
                low, high = np.minimum(one, other) - thick, np.maximum(one, other) + thick
            else:
                radius = float(np.hypot(*(other - one)))
                low, high = np.maximum(one - radius, whole[:2]), np.minimum(one + radius, whole[2:])
            rows.append(((*low, *high), LINE_LABELS.index(part.defect)))
        seen = [(self._seen(box), class_id) for box, class_id in rows]
        return [(box, class_id, part.number) for box, class_id in seen if box is not None]

    def _seen(self, box: tuple[float, ...]) -> tuple[float, float, float, float] | None:
        """What of it is in the picture; None when that is less than 30 %."""
        x1, x2 = max(box[0], 0.0), min(box[2], float(self.settings.width))
        y1, y2 = max(box[1], 0.0), min(box[3], float(self.settings.height))
        whole = (box[2] - box[0]) * (box[3] - box[1])
        if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) < _LEAST_VISIBLE * whole:
            return None
        return x1, y1, x2, y2

    @property
    def _scratch_px(self) -> int:
        return max(2, round(self.settings.height / 120))

    def _draw(self, picture: Picture, part: _Part, middle: tuple[float, float]) -> None:
        outline = self._outline(part, middle)
        self._cv2.fillConvexPoly(picture, _fixed(outline + 2), (20, 20, 20), 16, _SHIFT)
        self._cv2.fillConvexPoly(picture, _fixed(outline), part.metal, 16, _SHIFT)
        inner = np.array(middle) + 0.82 * (outline - middle)
        lighter = tuple(min(255, level + 25) for level in part.metal)
        self._cv2.fillConvexPoly(picture, _fixed(inner), lighter, 16, _SHIFT)
        if not part.defect:
            return
        one, other = self._flaw(part, middle)
        if part.defect == "scratch":
            ends = _fixed(np.array([one, other]))
            dark = (40, 44, 52)
            self._cv2.line(picture, ends[0], ends[1], dark, self._scratch_px, 16, _SHIFT)
        else:
            radius = round(float(np.hypot(*(other - one))) * 2**_SHIFT)
            self._cv2.circle(picture, _fixed(one[None])[0], radius, (44, 44, 44), -1, 16, _SHIFT)

    def _sensed(self, picture: Picture, index: int) -> Picture:
        """Noise: one large piece of grain, shifted by the frame's number."""
        if self.settings.noise == 0:
            return picture
        rng = np.random.default_rng((self.settings.seed, 12, index))
        top, left = rng.integers(0, 64, 2)
        high, wide = picture.shape[:2]
        grain = self._grain[top : top + high, left : left + wide]
        noisy: Picture = self._cv2.addWeighted(
            picture, 1.0, grain, self.settings.noise / _GRAIN, 0, dtype=self._cv2.CV_8U
        )
        return noisy


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Coordinates with four binary places, as OpenCV draws them; its pixel middles are whole."""
    fixed: NDArray[np.int32] = np.round((points - 0.5) * 2**_SHIFT).astype(np.int32)
    return fixed
