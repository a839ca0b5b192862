"""Real pictures to train on: parts of them, four in one, and vehicles put where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.augment import augment, repaint
from training.example import HEIGHT, PAD, WIDTH, Example, moved, no_boxes

LEAST_CUT_PX = 24
"""A vehicle narrower or lower than this is not cut out to be put elsewhere."""


class Real:
    """Draws from several groups of labelled pictures, of any size, each with its own share."""

    def __init__(
        self, groups: Sequence[tuple[float, list[Example]]], rng: np.random.Generator
    ) -> None:
        self._rng = rng
        self._groups = [examples for _, examples in groups]
        self._shares = np.array([share for share, _ in groups]) / sum(s for s, _ in groups)
        cut = [[c for example in group for c in cuts(example)] for group in self._groups]
        self._cuts = [found for found in cut if found]

    def draw(self) -> Example:
        """One, augmented."""
        rng = self._rng
        example = self._four() if rng.random() < 0.3 else self._part(WIDTH, HEIGHT)
        if self._cuts and rng.random() < 0.5:
            for _ in range(rng.integers(1, 4)):
                group = self._cuts[rng.integers(len(self._cuts))]
                image, label = group[rng.integers(len(group))]
                example = paste(example, image, label, rng)
        return augment(example, rng)

    def _part(self, width: int, height: int) -> Example:
        group = self._groups[self._rng.choice(len(self._groups), p=self._shares)]
        return part(group[self._rng.integers(len(group))], width, height, self._rng)

    def _four(self) -> Example:
        """Four parts side by side, each a quarter."""
        image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        pieces = []
        for top in (0, HEIGHT // 2):
            for left in (0, WIDTH // 2):
                piece = self._part(WIDTH // 2, HEIGHT // 2)
                image[top : top + HEIGHT // 2, left : left + WIDTH // 2] = piece.image
                pieces.append(moved(piece, (1, 1), (left, top), image))
        return Example(
            image,
            np.concatenate([p.boxes for p in pieces]),
            np.concatenate([p.classes for p in pieces]),
            np.concatenate([p.unsure for p in pieces]),
        )


def part(example: Example, width: int, height: int, rng: np.random.Generator) -> Example:
    """The whole picture or a window of it, scaled into width x height; the rest is grey."""
    rows, columns = example.image.shape[:2]
    whole = min(width / columns, height / rows)
    scale = whole * (1 if rng.random() < 0.4 else float(np.exp(rng.uniform(0, 1.0))))
    shift = [
        -rng.uniform(0, max(scale * size - room, 0)) + rng.uniform(0, max(room - scale * size, 0))
        for size, room in ((columns, width), (rows, height))
    ]
    move = np.array(
        [[scale, 0, shift[0] + (scale - 1) / 2], [0, scale, shift[1] + (scale - 1) / 2]]
    )
    source = example.image
    if scale < 0.75:  # warpAffine looks at 2 x 2 pixels only: blur what it would skip.
        source = np.asarray(cv2.GaussianBlur(source, (0, 0), 0.35 / scale), np.uint8)
    image = cv2.warpAffine(source, move, (width, height), borderValue=PAD)
    return moved(example, (scale, scale), (shift[0], shift[1]), np.asarray(image, np.uint8))


def cuts(example: Example) -> list[tuple[NDArray[np.uint8], int]]:
    """The vehicles of a picture that are large enough, cut out, with their classes.

    One that touches the edge may go on beyond it: elsewhere its part would pass for a whole one.
    """
    found, (rows, columns) = [], example.image.shape[:2]
    for box, label in zip(example.boxes, example.classes, strict=True):
        x1, y1, x2, y2 = box.round().clip(0).astype(int)
        whole = min(x1, y1) > 1 and x2 < columns - 1 and y2 < rows - 1
        if whole and min(x2 - x1, y2 - y1) >= LEAST_CUT_PX:
            found.append((example.image[y1:y2, x1:x2].copy(), int(label)))
    return found


def paste(
    example: Example, cut: NDArray[np.uint8], label: int, rng: np.random.Generator
) -> Example:
    """The vehicle in another paint and size somewhere on the picture; what it hides is unsure."""
    height = int(np.exp(rng.uniform(np.log(14), np.log(150))))
    width = max(int(height * cut.shape[1] / cut.shape[0] * rng.uniform(0.9, 1.1)), 4)
    if width >= WIDTH or height >= HEIGHT:
        return example
    piece = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    piece = repaint(np.asarray(piece[:, :: rng.choice([-1, 1])], np.uint8), rng)
    x, y = int(rng.integers(WIDTH - width)), int(rng.integers(HEIGHT - height))
    image, spot = example.image.copy(), np.s_[y : y + height, x : x + width]
    soft = _soft(width, height)
    image[spot] = (piece * soft + image[spot] * (1 - soft)).astype(np.uint8)
    box = np.array([[x, y, x + width, y + height]], np.float32)
    hidden = _hidden(example.boxes, box[0])
    return replace(
        example,
        image=image,
        boxes=np.concatenate([example.boxes[~hidden], box]),
        classes=np.append(example.classes[~hidden], label),
        unsure=np.concatenate([example.unsure, example.boxes[hidden], no_boxes()]),
    )


def _soft(width: int, height: int) -> NDArray[np.float32]:
    """1 in the middle, 0.3 in the corners: a vehicle hardly fills those of its box."""
    x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    inside = 4.5 * (1.15 - np.abs(x) ** 6 - np.abs(y) ** 6)
    return np.asarray(np.clip(inside, 0.3, 1)[..., None], np.float32)


def _hidden(boxes: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.bool_]:
    low, high = np.maximum(boxes[:, :2], by[:2]), np.minimum(boxes[:, 2:], by[2:])
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    return np.asarray((high - low).clip(0).prod(1) / area > 0.5)
