"""Simulated pictures to train on."""

from __future__ import annotations

import numpy as np

from edgesdk.sim import TrafficScene, TrafficSettings
from training.augment import augment
from training.example import PREPARE, Example

LIGHTS = ("day", "overcast", "dusk", "night", "varying")
FIRST_SEED = 1000
"""Scenes with smaller seeds are never trained on: they are for measuring."""
FRESH = 0.25
"""How many new pictures are drawn for one that is asked for."""


class Simulated:
    """Simulated pictures in memory; they are replaced by new ones bit by bit."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._rng, self._next, self._left, self._due = rng, FIRST_SEED, 0, 0.0
        self._examples = [self._render() for _ in range(size)]

    def draw(self) -> Example:
        """One, augmented."""
        self._due += FRESH
        if self._due >= 1:
            self._due -= 1
            self._examples[self._rng.integers(len(self._examples))] = self._render()
        return augment(self._examples[self._rng.integers(len(self._examples))], self._rng)

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
