"""From a picture to a model's input: ONE object for calibration, build and runtime.

The rule is value = (pixel * scale - mean) / std for each channel, after resizing, in the colour
order of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        tensor = np.empty((1, 3, self.height, self.width), np.float32)
        self._write(placed, tensor[0], None)
        return tensor

    def _write(
        self,
        pixels: NDArray[np.uint8],
        into: Floats,
        planes: NDArray[np.uint8] | None,
    ) -> None:
        """The rule itself: BGR (h, w, 3) into planes of floats (3, h, w); `planes` (3, h, w) is
        room for the bytes of one channel each, None: it is made.

        Four passes that each run over memory in order are faster than one that jumps.
        """
        cv2 = require("cv2", "prepare pictures")
        channels = cv2.split(pixels, None if planes is None else list(planes))
        for channel, plane in zip(self._order(channels), into, strict=True):
            np.copyto(plane, channel)
        into *= self.factor[:, None, None]
        if any(self.mean):
            into -= self.shift[:, None, None]

    def _order(self, channels: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        return channels[::-1] if self.color == "rgb" else channels

    def place(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Placement]:
        """Only the resizing: BGR uint8 of shape (height, width, 3), and where the picture lies."""
        height, width = image.shape[:2]
        placement = self.placement(width, height)
        pixels, (left, top) = self._cut(image, None)
        new_h, new_w = pixels.shape[:2]
        if (new_w, new_h) == (self.width, self.height):
            return pixels, placement
        canvas = np.full((self.height, self.width, 3), self.pad_value, np.uint8)
        canvas[top : top + new_h, left : left + new_w] = pixels
        return canvas, placement

    def _cut(
        self, image: NDArray[np.uint8], room: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """What of the picture is in the tensor, resized, and its left and top there.

        `room` takes the whole picture after resizing; None: it is made.
        """
        height, width = image.shape[:2]
        new_w, new_h = self.resized(width, height)
        if (new_w, new_h) != (width, height):
            cv2 = require("cv2", "resize pictures")
            image = cv2.resize(image, (new_w, new_h), dst=room, interpolation=cv2.INTER_LINEAR)
        left, top = self._offset(new_w, new_h)
        if self.resize == "center-crop":
            return image[-top : -top + self.height, -left : -left + self.width], (0, 0)
        return image, (left, top)

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


class Preparer:
    """Prepares one picture after another in memory of its own: the same numbers as `Preprocess`,
    and no picture or tensor is allocated for a frame.

    For one thread at a time. Memory follows the last picture's size.
    """

    def __init__(self, preprocess: Preprocess, tensors: int = 2) -> None:
        """`tensors` are written in turn: each is good until so many more pictures came."""
        if tensors < 1:
            raise ValueError(f"tensors should be 1 or more, found {tensors}")
        self.preprocess = preprocess
        shape = (1, 3, preprocess.height, preprocess.width)
        self._tensors = [np.empty(shape, np.float32) for _ in range(tensors)]
        self._borders: list[tuple[int, int] | None] = [None] * tensors
        """Size of the picture that each tensor's border was drawn for."""
        self._turn = 0
        self._room: _Room | None = None

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Floats, Placement]:
        """Prepare one picture, BGR uint8 of shape (H, W, 3). The tensor is the Preparer's."""
        turn, self._turn = self._turn, (self._turn + 1) % len(self._tensors)
        tensor, size = self._tensors[turn], (image.shape[1], image.shape[0])
        room = self._room_for(*size)
        room.fill(image, tensor[0], border=self._borders[turn] != size)
        self._borders[turn] = size
        return tensor, room.placement

    def into(self, image: NDArray[np.uint8], tensor: Floats) -> Placement:
        """Write it into the caller's tensor, float32 of shape (3, height, width) or one more
        with a leading 1, such as a slice of a batch. Raises ValueError for another tensor."""
        wanted = (3, self.preprocess.height, self.preprocess.width)
        if tensor.shape not in (wanted, (1, *wanted)) or tensor.dtype != np.float32:
            raise ValueError(f"expected float32 of {wanted}, found {tensor.dtype} {tensor.shape}")
        room = self._room_for(image.shape[1], image.shape[0])
        room.fill(image, tensor if tensor.ndim == 3 else tensor[0], border=True)
        return room.placement

    def _room_for(self, width: int, height: int) -> _Room:
        if self._room is None or (self._room.width, self._room.height) != (width, height):
            self._room = _Room(self.preprocess, width, height)
        return self._room


class _Room:
    """Memory between a picture of one size and its tensor."""

    def __init__(self, preprocess: Preprocess, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.placement = preprocess.placement(width, height)
        self._preprocess = preprocess
        new_w, new_h = preprocess.resized(width, height)
        self._resized = np.empty((new_h, new_w, 3), np.uint8)
        shown = (3, min(new_h, preprocess.height), min(new_w, preprocess.width))
        self._planes = np.empty(shown, np.uint8)

    def fill(self, image: NDArray[np.uint8], into: Floats, *, border: bool) -> None:
        """Write the tensor (3, height, width); `border`: and what lies around the picture."""
        pixels, (left, top) = self._preprocess._cut(image, self._resized)
        bottom, right = top + pixels.shape[0], left + pixels.shape[1]
        if border:
            level = np.float32(self._preprocess.pad_value) * self._preprocess.factor
            level = (level - self._preprocess.shift)[:, None, None]
            into[:, :top], into[:, bottom:] = level, level
            into[:, top:bottom, :left], into[:, top:bottom, right:] = level, level
        self._preprocess._write(pixels, into[:, top:bottom, left:right], self._planes)
