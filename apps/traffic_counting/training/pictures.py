"""Simulated pictures to train on, and how they are varied."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from edgesdk.preprocess import Preprocess
from edgesdk.sim import TrafficScene, TrafficSettings

WIDTH, HEIGHT = 416, 256
PREPARE = Preprocess(WIDTH, HEIGHT, resize="letterbox-top-left", color="bgr")
LIGHTS = ("day", "overcast", "dusk", "night", "varying")
FIRST_SEED = 1000
"""Scenes with smaller seeds are never trained on: they are for measuring."""


@dataclass(frozen=True, eq=False)
class Example:
    """A picture in the size of the net's input, and what is in it."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


class Pool:
    """Simulated pictures in memory; some are replaced by new ones at each step."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._rng, self._next, self._left = rng, FIRST_SEED, 0
        self._examples = [self._render() for _ in range(size)]

    def batch(self, size: int, fresh: int) -> tuple[torch.Tensor, list[Example]]:
        """Augmented pictures as a tensor 0..1, and their truth."""
        for place in self._rng.choice(len(self._examples), fresh, replace=False):
            self._examples[place] = self._render()
        chosen = self._rng.choice(len(self._examples), size, replace=False)
        shown = [augment(self._examples[i], self._rng) for i in chosen]
        images = np.stack([example.image for example in shown]).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(images)).float() / 255, shown

    def _render(self) -> Example:
        rng = self._rng
        if self._left == 0:
            light, lanes = rng.choice(LIGHTS), int(rng.choice([2, 4, 4, 6]))
            height = int(rng.choice([360, 360, 352, 480]))
            self._next, self._left = self._next + 1, 12
            self._scene = TrafficScene(
                TrafficSettings(
                    self._next, height=height, frames=10_000, lanes=lanes, light=light,
                    density=float(rng.uniform(0.4, 1)), noise=float(rng.uniform(0, 8)),
                )
            )  # fmt: skip
        self._left -= 1
        index = int(rng.integers(self._scene.settings.frames))
        image, placement = PREPARE.place(self._scene.frame(index))
        truth = self._scene.truth(index)
        return Example(image, placement.to_input(truth.xyxy), truth.class_id)


def augment(example: Example, rng: np.random.Generator) -> Example:
    """Mirror, scale, shift, light, colour, blur and noise, so that the net relies on none."""
    scale = float(np.exp(rng.uniform(-0.35, 0.35)))
    across = scale * (-1 if rng.random() < 0.5 else 1)
    shift_x = rng.uniform(-0.15, 0.15) * WIDTH + (WIDTH - across * WIDTH) / 2
    shift_y = rng.uniform(-0.15, 0.15) * HEIGHT + (HEIGHT - scale * HEIGHT) / 2
    # warpAffine counts from the middle of a pixel, boxes from its corner: hence the halves.
    move = np.array(
        [[across, 0, shift_x + (across - 1) / 2], [0, scale, shift_y + (scale - 1) / 2]]
    )
    image = cv2.warpAffine(example.image, move, (WIDTH, HEIGHT), borderValue=(114, 114, 114))
    x = np.sort(example.boxes[:, 0::2] * across + shift_x, axis=1)
    y = example.boxes[:, 1::2] * scale + shift_y
    whole = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)
    boxes = np.clip(whole, 0, np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]))
    size, kept = np.ptp(whole.reshape(-1, 2, 2), 1), np.ptp(boxes.reshape(-1, 2, 2), 1)
    keep = (kept.prod(1) > 0.35 * size.prod(1)) & (kept.min(1) > 3)
    return Example(_recolour(image, rng), boxes[keep].astype(np.float32), example.classes[keep])


def _recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    gain = np.exp(rng.uniform(-0.4, 0.4)) * rng.uniform(0.9, 1.1, 3)
    values = (np.arange(256)[:, None] - 114) * gain + 114 + rng.uniform(-25, 25)
    image = cv2.LUT(image, np.clip(values, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.4, 1.2))
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape[:2]).astype(np.int16)
        image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
    return image
