"""How a picture is varied, so that the net relies on no place, size, light or colour."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.example import HEIGHT, PAD, WIDTH, Example, moved


def augment(example: Example, rng: np.random.Generator) -> Example:
    """Mirror, scale, shift, light, colour, blur and noise."""
    scale = float(np.exp(rng.uniform(-0.35, 0.35)))
    across = scale * (-1 if rng.random() < 0.5 else 1)
    shift_x = rng.uniform(-0.15, 0.15) * WIDTH + (WIDTH - across * WIDTH) / 2
    shift_y = rng.uniform(-0.15, 0.15) * HEIGHT + (HEIGHT - scale * HEIGHT) / 2
    # warpAffine counts from the middle of a pixel, boxes from its corner: hence the halves.
    move = np.array(
        [[across, 0, shift_x + (across - 1) / 2], [0, scale, shift_y + (scale - 1) / 2]]
    )
    image = cv2.warpAffine(example.image, move, (WIDTH, HEIGHT), borderValue=PAD)
    shown = moved(example, (across, scale), (shift_x, shift_y), np.asarray(image, np.uint8))
    return replace(shown, image=_worsen(recolour(shown.image, rng), rng))


def recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another light and another white."""
    gain = np.exp(rng.uniform(-0.4, 0.4)) * rng.uniform(0.9, 1.1, 3)
    values = (np.arange(256)[:, None] - 114) * gain + 114 + rng.uniform(-25, 25)
    return np.asarray(cv2.LUT(image, np.clip(values, 0, 255).astype(np.uint8)[None]), np.uint8)


def repaint(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another hue, more or less colour, brighter or darker: a car's other paint."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 180)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.3, 2.0) + rng.uniform(0, 40), 0, 255)
    hsv[..., 2] = 255 * (hsv[..., 2] / 255) ** np.exp(rng.uniform(-1.2, 0.8))
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR), np.uint8)


def _worsen(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    if rng.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (3, 3), rng.uniform(0.4, 1.2)), np.uint8)
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape[:2]).astype(np.int16)
        image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
    return image
