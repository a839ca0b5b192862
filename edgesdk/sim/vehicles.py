"""The shapes of the vehicles: a few tapered blocks each, painted.

A vehicle's own frame: a metres ahead, b metres to the left, z metres up; the origin lies on the
road under its middle.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LABELS = ("car", "truck", "bus", "motorcycle")
LONGEST_M = {"car": 5.0, "truck": 10.0, "bus": 12.0, "motorcycle": 2.2}
"""No vehicle of the kind is longer: the traffic keeps its gaps by this."""

TOP, FRONT, REAR, LEFT, RIGHT = range(5)
ALL = (TOP, FRONT, REAR, LEFT, RIGHT)
AROUND = (FRONT, REAR, LEFT, RIGHT)

Colour = tuple[int, int, int]
"""BGR, 0..255."""

_PAINTS: tuple[Colour, ...] = (
    (236, 238, 238),
    (236, 238, 238),
    (190, 192, 192),
    (128, 126, 122),
    (80, 78, 76),
    (38, 36, 36),
    (38, 36, 36),
    (44, 36, 168),
    (150, 78, 30),
    (94, 42, 22),
    (60, 84, 42),
    (160, 184, 200),
    (36, 160, 222),
    (40, 96, 208),
    (52, 66, 96),
    (170, 150, 96),
)
_GLASS: Colour = (58, 50, 42)
_TYRE: Colour = (24, 24, 26)
_STEEL: Colour = (96, 94, 92)
_HEAD: Colour = (235, 250, 255)
_TAIL: Colour = (40, 36, 190)
_CABLE: Colour = (52, 50, 50)


@dataclass(frozen=True)
class Block:
    """A box whose upper face may be smaller than its lower one."""

    a: tuple[float, float]
    """From rear to front in metres."""
    b: tuple[float, float]
    """From right to left in metres."""
    z: tuple[float, float]
    """From bottom to top in metres."""
    side: Colour
    """Paint of the four sides."""
    top: Colour | None = None
    """Paint of the upper face; as the sides when left out."""
    taper: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far the upper face is drawn in at the front, the rear and each side, in metres."""
    show: tuple[int, ...] = ALL
    """The faces that are painted; AROUND makes a band, as of windows."""
    lamp: bool = False
    """Shines by night."""
    group: int = 0
    """Groups follow each other from rear to front; within one, later blocks cover earlier ones."""

    def faces(self) -> NDArray[np.float64]:
        """The painted faces as corners (N, 4, 3), anticlockwise from outside."""
        (a0, a1), (b0, b1), (z0, z1) = self.a, self.b, self.z
        front, rear, side = self.taper
        c = np.array(
            [
                (a0, b0, z0),
                (a1, b0, z0),
                (a1, b1, z0),
                (a0, b1, z0),
                (a0 + rear, b0 + side, z1),
                (a1 - front, b0 + side, z1),
                (a1 - front, b1 - side, z1),
                (a0 + rear, b1 - side, z1),
            ]
        )
        corners = [(4, 5, 6, 7), (1, 2, 6, 5), (3, 0, 4, 7), (2, 3, 7, 6), (0, 1, 5, 4)]
        shown: NDArray[np.float64] = c[np.array(corners)[list(self.show)]]
        return shown

    def paint(self) -> list[Colour]:
        """The colour of each painted face."""
        return [self.top or self.side if face == TOP else self.side for face in self.show]


@dataclass(frozen=True, eq=False)
class Mesh:
    """All faces of a vehicle."""

    faces: NDArray[np.float64]
    """Corners in the vehicle's frame, shape (F, 4, 3)."""
    normals: NDArray[np.float64]
    """Unit vectors that point outwards, shape (F, 3)."""
    paint: NDArray[np.float64]
    """BGR 0..255, shape (F, 3)."""
    lamp: NDArray[np.bool_]
    """True for a face that shines by night, shape (F,)."""
    group: NDArray[np.int64]
    """From rear to front, shape (F,)."""

    @classmethod
    def of(cls, blocks: list[Block]) -> Mesh:
        """Join blocks; they are painted in this order."""
        faces = np.concatenate([block.faces() for block in blocks])
        normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 3] - faces[:, 0])
        counts = [len(block.show) for block in blocks]
        return cls(
            faces,
            normals / np.linalg.norm(normals, axis=1, keepdims=True),
            np.array([paint for block in blocks for paint in block.paint()], np.float64),
            np.repeat([block.lamp for block in blocks], counts),
            np.repeat([block.group for block in blocks], counts),
        )

    @property
    def length_m(self) -> float:
        """From rear to front."""
        return float(np.ptp(self.faces[..., 0]))


@functools.lru_cache(maxsize=128)
def build(kind: str, look: int) -> Mesh:
    """The vehicle of a kind (one of LABELS) that the number `look` chooses."""
    rng = np.random.default_rng((look, LABELS.index(kind)))
    makers = {"car": _car, "truck": _truck, "bus": _bus, "motorcycle": _motorcycle}
    return Mesh.of(makers[kind](rng))


def _paint(rng: np.random.Generator) -> Colour:
    base = _PAINTS[rng.integers(len(_PAINTS))]
    b, g, r = np.clip(np.array(base) + rng.normal(0, 10, 3), 8, 250).astype(int).tolist()
    return (b, g, r)


def _dark(colour: Colour, by: float) -> Colour:
    return (int(colour[0] * by), int(colour[1] * by), int(colour[2] * by))


def _wheels(front: float, rear: float, half: float, radius: float) -> list[Block]:
    return [
        Block((a - radius, a + radius), (b - 0.12, b + 0.12), (0.0, 2 * radius), _TYRE,
              taper=(radius / 2, radius / 2, 0.0))
        for a in (rear, front)
        for b in (-half + 0.1, half - 0.1)
    ]  # fmt: skip


def _lamps(front: float, rear: float, half: float, z: float, group: int = 0) -> list[Block]:
    width = 0.22 * half
    pairs = [(-half + 0.08, -half + 0.08 + 2 * width), (half - 0.08 - 2 * width, half - 0.08)]
    ends = [((front - 0.1, front + 0.02), _HEAD, FRONT), ((rear - 0.02, rear + 0.1), _TAIL, REAR)]
    return [
        Block(
            a, b, (z, z + 0.2), colour, show=(face,), lamp=True, group=group if face == FRONT else 0
        )
        for a, colour, face in ends
        for b in pairs
    ]


def _car(rng: np.random.Generator) -> list[Block]:
    paint, tall = _paint(rng), rng.random()
    front = rng.uniform(3.8, 4.9) / 2
    rear, half = -front, rng.uniform(0.84, 0.98)
    waist, roof = 0.85 + 0.2 * tall, 1.4 + 0.4 * tall
    hatch = rng.random() < 0.5
    cab = (rear + (0.15 if hatch else 0.75), front - rng.uniform(0.9, 1.2))
    slope = (0.75 - 0.25 * tall, 0.3 if hatch else 0.55, 0.16)
    return [
        *_wheels(front - 0.8, rear + 0.8, half, 0.32),
        Block((rear, front), (-half, half), (0.25, waist), paint, taper=(0.12, 0.06, 0.04)),
        *_lamps(front - 0.06, rear + 0.03, half, waist - 0.32),
        Block((front - 0.1, front - 0.02), (-0.45, 0.45), (0.35, 0.55), _CABLE, show=(FRONT,)),
        Block((rear - 0.01, rear + 0.1), (-0.26, 0.26), (0.5, 0.62), (225, 230, 230), show=(REAR,)),
        Block(cab, (-half + 0.05, half - 0.05), (waist, roof - 0.03), _GLASS, taper=slope),
        Block((cab[0] + slope[1], cab[1] - slope[0]), (-half + 0.2, half - 0.2),
              (roof - 0.06, roof), paint),
    ]  # fmt: skip


def _truck(rng: np.random.Generator) -> list[Block]:
    paint, half = _paint(rng), rng.uniform(1.08, 1.25)
    front = rng.uniform(6.2, 9.6) / 2
    rear, nose = -front, front - rng.uniform(1.7, 2.1)
    roof = rng.uniform(2.3, 2.8)
    return [
        *_wheels(front - 1.0, rear + 1.2, half, 0.48),
        Block((rear, nose), (-half + 0.15, half - 0.15), (0.5, 0.95), _CABLE),
        *_load(rng, rear, nose - 0.25, half),
        Block((nose, front), (-half, half), (0.45, roof), paint, taper=(0.3, 0.05, 0.08), group=1),
        Block((nose + 0.35, front - 0.06), (-half + 0.02, half - 0.02), (roof - 1.1, roof - 0.3),
              _GLASS, taper=(0.12, 0.0, 0.03), show=(FRONT, LEFT, RIGHT), group=1),
        Block((nose + 0.1, front - 0.34), (-half + 0.1, half - 0.1), (roof - 0.05, roof + 0.04),
              paint, group=1),
        *_lamps(front, rear, half, 0.6, group=1),
    ]  # fmt: skip


def _load(rng: np.random.Generator, rear: float, front: float, half: float) -> list[Block]:
    colour = _paint(rng) if rng.random() < 0.5 else (226, 230, 230)
    if rng.random() < 0.65:
        top = rng.uniform(2.8, 3.5)
        stripe = _dark(_paint(rng), 0.9)
        return [
            Block((rear, front), (-half, half), (0.95, top), colour),
            Block(
                (rear - 0.01, front), (-half - 0.01, half + 0.01), (1.5, 1.9), stripe, show=AROUND
            ),
        ]
    heap = (70, 96, 122) if rng.random() < 0.5 else (104, 104, 108)
    return [
        Block((rear, front), (-half, half), (0.95, 1.7), colour, top=_dark(colour, 0.4)),
        Block((rear + 0.15, front - 0.15), (-half + 0.15, half - 0.15), (1.6, 2.1), heap,
              taper=(0.9, 0.9, 0.5)),
    ]  # fmt: skip


def _bus(rng: np.random.Generator) -> list[Block]:
    paint, half = _paint(rng), rng.uniform(1.2, 1.3)
    front = rng.uniform(9.6, 11.9) / 2
    rear, roof = -front, rng.uniform(2.9, 3.2)
    pillars = np.linspace(rear, front, 8)[1:-1]
    return [
        *_wheels(front - 2.2, rear + 2.4, half, 0.48),
        Block((rear, front), (-half, half), (0.3, roof), paint, top=(222, 224, 224)),
        Block((rear - 0.01, front + 0.01), (-half - 0.01, half + 0.01), (1.25, 2.45), _GLASS,
              show=AROUND),
        *(Block((a - 0.08, a + 0.08), (-half - 0.02, half + 0.02), (1.25, 2.45), paint,
                show=(LEFT, RIGHT))
          for a in pillars),
        Block((rear - 0.02, front + 0.02), (-half - 0.02, half + 0.02), (0.62, 0.85),
              _paint(rng), show=AROUND),
        Block((front - 0.1, front + 0.03), (-half * 0.6, half * 0.6), (2.5, 2.8), (40, 170, 235),
              show=(FRONT,)),
        *_lamps(front, rear, half, 0.7),
        Block((rear + 0.6, front - 0.6), (-half + 0.25, half - 0.25), (roof, roof + 0.05),
              (200, 202, 204)),
        Block((1.0, 3.0), (-0.7, 0.7), (roof, roof + 0.25), _STEEL, taper=(0.1, 0.1, 0.1)),
        Block((-3.2, -1.8), (-0.6, 0.6), (roof, roof + 0.2), _STEEL, taper=(0.1, 0.1, 0.1)),
    ]  # fmt: skip


def _motorcycle(rng: np.random.Generator) -> list[Block]:
    paint, jacket, helmet = _paint(rng), _dark(_paint(rng), 0.8), _paint(rng)
    front = rng.uniform(1.9, 2.15) / 2
    return [
        Block((-front, -front + 0.62), (-0.08, 0.08), (0.0, 0.62), _TYRE, taper=(0.15, 0.15, 0)),
        Block((front - 0.62, front), (-0.07, 0.07), (0.0, 0.62), _TYRE, taper=(0.15, 0.15, 0)),
        Block((-front + 0.15, front - 0.45), (-0.2, 0.2), (0.35, 0.85), paint,
              taper=(0.1, 0.1, 0.05)),
        Block((-front + 0.1, -front + 0.2), (-0.12, 0.12), (0.6, 0.75), _TAIL,
              show=(REAR,), lamp=True),
        Block((-0.4, 0.2), (-0.34, 0.34), (0.45, 0.85), _CABLE, taper=(0.1, 0, 0.1)),
        Block((front - 0.5, front - 0.4), (-0.4, 0.4), (0.95, 1.05), _CABLE),
        Block((front - 0.45, front - 0.3), (-0.13, 0.13), (0.75, 0.98), _HEAD,
              show=(FRONT,), lamp=True),
        Block((-0.35, 0.15), (-0.27, 0.27), (0.8, 1.4), jacket, taper=(0.1, 0.05, 0.06)),
        Block((0.0, front - 0.4), (-0.33, 0.33), (1.0, 1.15), jacket, taper=(0.1, 0, 0.1)),
        Block((-0.18, 0.16), (-0.16, 0.16), (1.4, 1.72), helmet, taper=(0.08, 0.08, 0.06)),
    ]  # fmt: skip
