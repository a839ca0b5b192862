"""Patches of one healthy retina, with lesions painted on: no picture of a patient is in here.

The retina is scikit-image's `data.retina` (Mikael Häggström, CC0). It is cut into blocks that
belong to one split each, so that no pixel is in two of them. The lesions are simulated after what
is looked for in such pictures: microaneurysms are round dark red dots, haemorrhages irregular
blots. Many are so faint that nobody can be sure: that is what a calibrated confidence is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "fit", "test"]
Image = NDArray[np.uint8]

LABELS = ("none", "dots", "blot")
SHARES = (0.5, 0.25, 0.25)
"""How often each is made; confidence is calibrated for this mix only."""
SIDE_PX = 96
BLOOD = np.array([0.9, 1.0, 0.45], np.float32)
"""It takes green and blue away and leaves most of the red (BGR)."""
BLOCK_PX = 150
"""Side of the blocks that the retina is cut into; a patch is turned within its block."""
SPLITS: tuple[Split, ...] = ("test", "fit", "train", "train")
"""Of the blocks, in turn, each row shifted by two. The recipe of the training was chosen by looking
at the last of these, so they train; those to judge were never looked at for any choice."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A picture and the truth about it."""

    image: Image
    """BGR, SIDE_PX x SIDE_PX."""
    class_id: int
    lesions: NDArray[np.bool_]
    """Where lesions are, of the picture's size."""
    block: int
    """Number of the block of the split that it was cut from."""


class Patches:
    """Makes patches of one split, as many as wanted, from a seed."""

    def __init__(self, retina: Path, split: Split, seed: int, turn: int = 0) -> None:
        """`turn` 0..3: which quarter of the blocks judges; the app's model has 0."""
        picture = cv2.imread(str(retina))
        if picture is None:
            raise FileNotFoundError(f"{retina}: no picture that can be read")
        self._blocks = blocks_of(picture, split, turn)
        self._random = np.random.default_rng(seed)
        self._painted_vessels = split == "train"

    def make(self, class_id: int | None = None) -> Patch:
        """The next patch; None: of a class drawn by SHARES."""
        if class_id is None:
            class_id = int(self._random.choice(len(LABELS), p=SHARES))
        block = int(self._random.integers(len(self._blocks)))
        image = self._cut(self._blocks[block]).astype(np.float32)
        darker = self._lesions(class_id)
        for dark in (self._vessels(), darker):
            image *= 1 - dark[..., None] * BLOOD
        return Patch(self._photographed(image), class_id, darker > 0.03, block)

    def _cut(self, block: Image) -> Image:
        """A piece of the block, turned and mirrored; nothing from beyond the block."""
        angle, scale = self._random.uniform(0, 360), self._random.uniform(1.0, 1.25)
        half = SIDE_PX / scale * (abs(np.cos(np.radians(angle))) + abs(np.sin(np.radians(angle))))
        room = max(BLOCK_PX - half - 2, 0) / 2
        center = BLOCK_PX / 2 + self._random.uniform(-room, room, 2)
        turn = cv2.getRotationMatrix2D(center.tolist(), angle, scale)
        turn[:, 2] += SIDE_PX / 2 - center
        cut: Image = cv2.warpAffine(block, turn, (SIDE_PX, SIDE_PX), flags=1, borderMode=4)
        return np.ascontiguousarray(cut[:, ::-1] if self._random.random() < 0.5 else cut)

    def _lesions(self, class_id: int) -> NDArray[np.float32]:
        """Share of the light that they take, by pixel."""
        darker = np.zeros((SIDE_PX, SIDE_PX), np.float32)
        if LABELS[class_id] == "dots":
            for _ in range(self._random.integers(1, 5)):
                blob = self._blob(self._random.uniform(2.0, 4.0), 0.1, 1.0)
                darker = np.maximum(darker, blob * self._random.uniform(0.06, 0.4))
        elif LABELS[class_id] == "blot":
            blob = self._blob(self._random.uniform(6.0, 15.0), 0.2, 2.0)
            darker = blob * self._random.uniform(0.06, 0.45)
        return darker

    def _vessels(self) -> NDArray[np.float32]:
        """More vessels than one retina has: in every other picture, and some end within it."""
        darker = np.zeros((SIDE_PX, SIDE_PX), np.float32)
        for _ in range(self._random.choice((0, 0, 1, 2)) if self._painted_vessels else 0):
            a, b, c = self._random.uniform(-20, SIDE_PX + 20, (3, 2))
            way = np.linspace(0, 1, 20)[:, None]
            curve = (1 - way) ** 2 * a + 2 * way * (1 - way) * b + way**2 * c
            line, width = np.zeros_like(darker), int(self._random.integers(1, 7))
            cv2.polylines(line, [np.rint(curve * 8).astype(np.int32)], False, 1.0, width, 16, 3)
            line *= self._random.uniform(0.04, 0.3)
            darker = np.maximum(darker, cv2.GaussianBlur(line, (0, 0), 0.8))
        return darker

    def _blob(self, radius_px: float, ragged: float, soft_px: float) -> NDArray[np.float32]:
        """A round or irregular spot, 0..1, somewhere off the edge."""
        x, y = self._random.uniform(radius_px + 4, SIDE_PX - radius_px - 4, 2)
        rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
        around = np.arctan2(rows - y, columns - x)
        edge = np.full_like(around, radius_px)
        for waves in (2, 3, 5):
            size = ragged * radius_px * self._random.uniform(-1, 1) * 2 / waves
            edge += size * np.cos(waves * around + self._random.uniform(0, 6.3))
        inside = (edge - np.hypot(rows - y, columns - x)) / soft_px
        spot: NDArray[np.float32] = np.clip(inside + 0.5, 0, 1).astype(np.float32)
        return spot

    def _photographed(self, image: NDArray[Any]) -> Image:
        """Light, focus, noise and JPEG as they vary from one picture to the next."""
        rows, columns = np.mgrid[-0.5 : 0.5 : SIDE_PX * 1j, -0.5 : 0.5 : SIDE_PX * 1j]
        slope = self._random.uniform(-0.2, 0.2, 2)
        light = self._random.uniform(0.8, 1.15) * (1 + slope[0] * rows + slope[1] * columns)
        image = image * light[..., None] * self._random.uniform(0.94, 1.06, 3)
        image = cv2.GaussianBlur(image, (0, 0), self._random.uniform(0.4, 1.1))
        image = image + self._random.normal(0, self._random.uniform(0.5, 3), image.shape)
        photo = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        quality = int(self._random.integers(75, 95))
        packed = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def blocks_of(retina: Image, split: Split, turn: int = 0) -> list[Image]:
    """The blocks of a split that lie on the retina as a whole."""
    found = []
    for row in range(retina.shape[0] // BLOCK_PX):
        for column in range(retina.shape[1] // BLOCK_PX):
            top, left = row * BLOCK_PX, column * BLOCK_PX
            block = retina[top : top + BLOCK_PX, left : left + BLOCK_PX]
            whole = (block[..., 2] > 60).mean() > 0.995
            if whole and SPLITS[(column + 2 * row + turn) % len(SPLITS)] == split:
                found.append(block)
    return found


def bundled_retina() -> Path:
    """The picture that comes with scikit-image."""
    import skimage  # noqa: PLC0415 - only where no picture is named

    return Path(skimage.__file__).parent / "data" / "retina.jpg"
