"""Made-up flaws on pictures of good parts, for the backbone to tell apart from what is good.

None of them is drawn as the simulator draws its defects: strokes, spots, smears and patches of any
size, place and tint. (After CutPaste, Li et al., arXiv:2104.04015, and DRAEM, Zavrtanik et al.,
arXiv:2108.07610: a net that has to find made-up flaws learns what good parts look like.)
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
VISIBLE = 14
"""A pixel counts as flawed when it has changed by more grey levels than this."""


def varied(picture: Picture, rng: np.random.Generator, size: int) -> Picture:
    """A good part still: turned, mirrored, moved a little, in other light, less sharp."""
    side = picture.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.choice([0, 90, 180, 270])), 1.0)
    turn[:, 2] += rng.uniform(-4, 4, 2)
    turned = cv2.warpAffine(picture, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    sized = cv2.resize(turned, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    if rng.random() < 0.3:
        sized = cv2.GaussianBlur(sized, (0, 0), float(rng.uniform(0.4, 1.2)))
    sized = sized * rng.uniform(0.78, 1.22) + rng.normal(0, rng.uniform(0, 3), sized.shape)
    whole: Picture = np.clip(sized, 0, 255).astype(np.uint8)
    return whole


def flawed(picture: Picture, rng: np.random.Generator) -> tuple[Picture, NDArray[np.bool_]]:
    """A copy with one to three flaws on the part, and where they are."""
    spoilt = picture.copy()
    for _ in range(rng.integers(1, 4)):
        flaw = (_stroke, _spot, _break, _break, _smear, _patch)[rng.integers(6)]
        flaw(spoilt, picture, rng)
    if rng.random() < 0.7:
        soft = cv2.GaussianBlur(spoilt, (0, 0), float(rng.uniform(0.4, 0.9)))
        changed = cv2.dilate((spoilt != picture).any(axis=2).astype(np.uint8), np.ones((3, 3)))
        spoilt = np.where(changed[..., None] > 0, soft, spoilt)
    return spoilt, np.abs(spoilt.astype(int) - picture).max(axis=2) > VISIBLE


def _place(picture: Picture, rng: np.random.Generator) -> NDArray[np.float64]:
    """Somewhere on the part or its rim."""
    side = picture.shape[0]
    angle, far = rng.uniform(0, 2 * np.pi), side * rng.uniform(0, 0.4)
    place: NDArray[np.float64] = side / 2 + far * np.array([np.cos(angle), np.sin(angle)])
    return place


def _tint(picture: Picture, rng: np.random.Generator) -> tuple[float, ...]:
    """Of the belt, or of any place of the picture made lighter or darker."""
    if rng.random() < 0.4:
        return tuple(np.median(picture[:8], axis=(0, 1)).tolist())
    y, x = rng.integers(0, picture.shape[0], 2)
    return tuple(np.clip(picture[y, x] * rng.uniform(0.2, 1.8), 0, 255).tolist())


def _stroke(spoilt: Picture, picture: Picture, rng: np.random.Generator) -> None:
    steps = rng.normal(0, picture.shape[0] * rng.uniform(0.03, 0.12), (rng.integers(2, 5), 2))
    path = np.round(_place(picture, rng) + np.cumsum(steps, axis=0)).astype(np.int32)
    width = int(rng.integers(1, 5))
    cv2.polylines(spoilt, [path], False, _tint(picture, rng), width, cv2.LINE_AA)


def _spot(spoilt: Picture, picture: Picture, rng: np.random.Generator) -> None:
    side = picture.shape[0]
    center = tuple(np.round(_place(picture, rng)).astype(int).tolist())
    axes = tuple(max(1, round(side * rng.uniform(0.02, 0.13))) for _ in range(2))
    angle = float(rng.uniform(0, 180))
    cv2.ellipse(spoilt, center, axes, angle, 0, 360, _tint(picture, rng), -1, cv2.LINE_AA)


def _break(spoilt: Picture, picture: Picture, rng: np.random.Generator) -> None:
    """A ragged piece is broken off the rim: the belt is seen there."""
    side = picture.shape[0]
    belt = np.median(picture[:8], axis=(0, 1))
    part = (np.abs(picture - belt).max(axis=2) > 40).astype(np.uint8)
    rims, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not rims:
        return
    rim = max(rims, key=len)[:, 0]
    turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
    far = side * rng.uniform(0.03, 0.12) * rng.uniform(0.7, 1.3, len(turns))
    ring = np.column_stack([np.cos(turns), np.sin(turns)]) * far[:, None]
    corners = np.round(rim[rng.integers(len(rim))] + ring).astype(np.int32)
    cv2.fillPoly(spoilt, [corners], belt.tolist(), cv2.LINE_AA)


def _smear(spoilt: Picture, picture: Picture, rng: np.random.Generator) -> None:
    """A round place takes on what is beside it: a feature is gone, an edge is worn."""
    side = picture.shape[0]
    radius = side * rng.uniform(0.06, 0.2)
    near = side / 2 + rng.normal(0, side * 0.04, 2)
    center = near if rng.random() < 0.5 else _place(picture, rng)
    aside = rng.normal(0, 1, 2)
    aside *= radius * rng.uniform(1.1, 2.0) / np.hypot(*aside)
    moved = np.array([[1, 0, aside[0]], [0, 1, aside[1]]])
    copied = cv2.warpAffine(picture, moved, (side, side), borderMode=cv2.BORDER_REFLECT)
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(mask, tuple(np.round(center).astype(int).tolist()), round(radius), 255, -1)
    spoilt[mask > 0] = copied[mask > 0]


def _patch(spoilt: Picture, picture: Picture, rng: np.random.Generator) -> None:
    """A piece of the picture lies in another place."""
    side = picture.shape[0]
    high, wide = rng.integers(round(0.04 * side), round(0.18 * side), 2)
    top, left = rng.integers(0, side - max(high, wide), 2)
    corner = _place(picture, rng) - [wide / 2, high / 2]
    x, y = np.clip(corner, 0, side - max(high, wide)).astype(int)
    spoilt[y : y + high, x : x + wide] = picture[top : top + high, left : left + wide]
