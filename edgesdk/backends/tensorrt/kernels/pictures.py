"""Pictures that are already in the GPU's memory, as a decoder gives them."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.backends.tensorrt.kernels.colour import Colour, Standard, colour_of
from edgesdk.backends.tensorrt.kernels.taps import LARGEST
from edgesdk.errors import DataError


@dataclass(frozen=True)
class BgrOnGpu:
    """Packed rows of B, G, R, one byte each. The memory stays its owner's."""

    address: int
    """On the device, of the first row."""
    width: int
    """In pixels."""
    height: int
    pitch: int
    """Bytes from row to row, at least 3 * width."""

    KERNEL = "preprocess_bgr"

    def __post_init__(self) -> None:
        check_size(self.width, self.height)
        _check_pitch("the picture", self.pitch, 3 * self.width)

    @property
    def planes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Address and pitch of the picture and of the chroma, which is none."""
        return (self.address, self.pitch), (0, 0)

    @property
    def colour(self) -> Colour:
        """Not used for B, G, R."""
        return Colour(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Nv12OnGpu:
    """A plane of Y and one of interleaved U, V at half the size (rounded up): pitch-linear NV12.

    A block-linear surface has to be transformed first (NvBufSurfTransform does it).
    """

    luma: int
    """Address on the device of the first row of Y."""
    luma_pitch: int
    """Bytes from row to row, at least width."""
    chroma: int
    """Address of the first row of U, V."""
    chroma_pitch: int
    """Bytes from row to row, at least width rounded up to even."""
    width: int
    """In pixels; odd sizes are allowed."""
    height: int
    standard: Standard = "bt601"

    KERNEL = "preprocess_nv12"

    def __post_init__(self) -> None:
        check_size(self.width, self.height)
        _check_pitch("Y", self.luma_pitch, self.width)
        _check_pitch("the plane of U and V", self.chroma_pitch, (self.width + 1) // 2 * 2)

    @property
    def planes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Address and pitch of Y and of U, V."""
        return (self.luma, self.luma_pitch), (self.chroma, self.chroma_pitch)

    @property
    def colour(self) -> Colour:
        """From Y, U, V to B, G, R."""
        return colour_of(self.standard)


OnGpu = BgrOnGpu | Nv12OnGpu
"""Either form of a picture in the GPU's memory."""


def check_size(width: int, height: int) -> None:
    """Raise DataError unless the kernels can address a picture of this size in pixels."""
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise DataError(
            f"a picture for the GPU should be 1..{LARGEST} pixels on each side, "
            f"found {width} x {height}",
            "make it smaller first",
        )


def _check_pitch(name: str, pitch: int, least: int) -> None:
    if not least <= pitch < 1 << 32:
        raise DataError(
            f"the pitch of {name} should be at least {least} bytes, found {pitch}",
            "the pitch counts bytes from row to row, not pixels",
        )
