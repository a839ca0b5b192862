"""From a picture to a model's input: ONE object for calibration, build and runtime.

The rule is value = (pixel * scale - mean) / std for each channel, after resizing, in the colour
order of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.geometry import Placement
from edgesdk.tensors import Floats

Resize = Literal["letterbox", "letterbox-top-left", "stretch", "center-crop"]


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a float32 tensor of shape (1, 3, height, width)."""

    width: int
    """Of the model's input, in pixels."""
    height: int
    resize: Resize = "letterbox"
    """letterbox keeps the aspect and pads on both sides; letterbox-top-left pads right and below;
    stretch does not keep the aspect; center-crop cuts the middle out after resizing."""
    color: Literal["rgb", "bgr"] = "rgb"
    """Order of the model's channels. Pictures come in as BGR."""
    scale: float = 1.0
    """Multiplies the pixel (0..255) first; 0.00392156862745098 makes it 0..1."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted after scaling, in the order of `color`."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divides last, in the order of `color`."""
    pad_value: int = 114
    """Grey level 0..255 of the border of a letterbox."""
    short_side: int = 0
    """For center-crop: the picture's short side is resized to this first; 0: just enough."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(
                f"width and height should be positive, found {self.width}, {self.height}"
            )
        if any(value == 0 for value in (*self.std, self.scale)):
            raise ValueError("std and scale should not be 0")
        if not 0 <= self.pad_value <= 255:
            raise ValueError(f"pad_value should be 0..255, found {self.pad_value}")
        if self.short_side and self.short_side < max(self.width, self.height):
            raise ValueError(f"short_side {self.short_side} is smaller than the crop")

    @property
    def factor(self) -> Floats:
        """Multiplies a pixel of 0..255; shape (3,), in the order of `color`."""
        factor: Floats = np.float32(self.scale) / np.array(self.std, np.float32)
        return factor

    @property
    def shift(self) -> Floats:
        """Subtracted from that product; shape (3,), in the order of `color`."""
        mean: Floats = np.array(self.mean, np.float32)
        std: Floats = np.array(self.std, np.float32)
        shift: Floats = mean / std
        return shift

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Floats, Placement]:
        """Prepare one picture, BGR uint8 of shape (H, W, 3). The tensor is new and the caller's."""
        placed, placement = self.place(image)
        return self.normalize(placed), placement

    def normalize(self, placed: NDArray[np.uint8]) -> Floats:
        """The tensor of a picture that `place` has resized, new and the caller's."""
        pixels = placed[..., ::-1] if self.color == "rgb" else placed
        factor, shift = self.factor, self.shift
        tensor = np.empty((1, 3, self.height, self.width), np.float32)
        np.multiply(pixels.transpose(2, 0, 1), factor[:, None, None], out=tensor[0])
        if shift.any():
            tensor[0] -= shift[:, None, None]
        return tensor

    def place(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Placement]:
        """Only the resizing: BGR uint8 of shape (height, width, 3), and where the picture lies."""
        cv2 = require("cv2", "resize pictures")
        height, width = image.shape[:2]
        new_w, new_h = self.resized(width, height)
        if (new_w, new_h) != (width, height):
            image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
        placement = self.placement(width, height)
        left, top = self._offset(new_w, new_h)
        if self.resize == "center-crop":
            return image[-top : -top + self.height, -left : -left + self.width], placement
        if (new_w, new_h) == (self.width, self.height):
            return image, placement
        canvas = np.full((self.height, self.width, 3), self.pad_value, np.uint8)
        canvas[top : top + new_h, left : left + new_w] = image
        return canvas, placement

    def placement(self, width: int, height: int) -> Placement:
        """Where a picture of this size lies in the tensor. Nothing is resized for it."""
        new_w, new_h = self.resized(width, height)
        left, top = self._offset(new_w, new_h)
        return Placement(new_w / width, new_h / height, left, top, width, height)

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Size of the whole picture after resizing, before padding or cropping."""
        if self.resize == "stretch":
            return self.width, self.height
        across, down = self.width / width, self.height / height
        if self.resize == "center-crop":
            ratio = max(across, down, self.short_side / min(width, height))
            return (
                max(round(width * ratio), self.width),
                max(round(height * ratio), self.height),
            )
        # int(), not round(): what YOLOX's and Ultralytics' own letterboxes do.
        ratio = min(across, down)
        return max(int(width * ratio), 1), max(int(height * ratio), 1)

    def _offset(self, new_w: int, new_h: int) -> tuple[int, int]:
        if self.resize in ("letterbox", "center-crop"):
            return (self.width - new_w) // 2, (self.height - new_h) // 2
        return 0, 0
