"""Simulated pictures to train on."""

from __future__ import annotations

import numpy as np

from edgesdk.detections import Detections
from edgesdk.sim import LABELS, TrafficScene, TrafficSettings
from training.augment import augment
from training.example import PREPARE, Example

LIGHTS = ("day", "overcast", "dusk", "night", "varying")
FIRST_SEED = 1000
"""Scenes with smaller seeds are never trained on: they are for measuring."""
FRESH = 0.25
"""How many new pictures are drawn for one that is asked for."""
NEAR_SHARE = 0.6
"""For this share of the pictures a moment is looked for at which a long vehicle is near. By chance
it is one picture in four, and few of those are alike: a detector learns the small ones first."""
NEAR_HEIGHT = 0.35
"""A truck or bus is near when its box is so high, as a share of the picture's height."""
TRIES = 8
"""So many moments are looked at for one; the last is taken whatever it shows."""


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
            light, lanes = rng.choice(LIGHTS), int(rng.choice([2, 4, 6]))
            height = int(rng.choice([360, 360, 352, 480]))
            self._next, self._left = self._next + 1, 12
            self._scene = TrafficScene(
                TrafficSettings(
                    self._next, height=height, frames=10_000, lanes=lanes, light=light,
                    density=float(rng.uniform(0.4, 1)), noise=float(rng.uniform(0, 8)),
                )
            )  # fmt: skip
        self._left -= 1
        index = moment(self._scene, rng)
        image, placement = PREPARE.place(self._scene.frame(index))
        truth = self._scene.truth(index)
        return Example(image, placement.to_input(truth.xyxy), truth.class_id)


def moment(scene: TrafficScene, rng: np.random.Generator) -> int:
    """The number of one of the scene's frames, more often of one with a long vehicle near."""
    near, size = rng.random() < NEAR_SHARE, scene.settings
    for _ in range(TRIES):
        index = int(rng.integers(size.frames))
        if not near or shows_near(scene.truth(index), size.height):
            break
    return index


def shows_near(truth: Detections, height: int) -> bool:
    """Whether a truck or bus is near in a picture of this height."""
    long = np.isin(truth.class_id, [LABELS.index("truck"), LABELS.index("bus")])
    return bool((np.diff(truth.xyxy[long, 1::2]) > NEAR_HEIGHT * height).any())
