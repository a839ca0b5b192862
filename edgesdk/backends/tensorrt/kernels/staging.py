"""Pictures and taps on their way to the GPU, in memory that is kept from picture to picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.backends.tensorrt.cuda import Buffer, Cuda, Stream
from edgesdk.backends.tensorrt.kernels.colour import Standard
from edgesdk.backends.tensorrt.kernels.pictures import BgrOnGpu, Nv12OnGpu, check_size
from edgesdk.backends.tensorrt.kernels.taps import TAP, taps_of
from edgesdk.errors import DataError
from edgesdk.preprocess import Preprocess


class Staging:
    """Pinned memory for one picture. It grows to the largest seen, and never shrinks.

    The picture before must have been read by the GPU before the next is put in.
    """

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._buffer: Buffer | None = None

    def bgr(self, picture: NDArray[np.uint8], stream: Stream) -> BgrOnGpu:
        """Send uint8 of shape (H, W, 3), rows with gaps included; one copy into pinned memory."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise DataError(
                "a picture should be uint8 of shape (height, width, 3), "
                f"found {_described(picture)}",
                "give B, G, R as cv2 reads them; Y and UV planes go to nv12()",
            )
        height, width = picture.shape[:2]
        check_size(width, height)
        return BgrOnGpu(self._send([picture], stream), width, height, 3 * width)

    def nv12(
        self,
        luma: NDArray[np.uint8],
        chroma: NDArray[np.uint8],
        standard: Standard,
        stream: Stream,
    ) -> Nv12OnGpu:
        """Send Y of shape (H, W) and UV of half the size: (H/2, W/2, 2) or (H/2, W), rounded up."""
        height, width = luma.shape if luma.ndim == 2 else (0, 0)
        half_h, half_w = (height + 1) // 2, (width + 1) // 2
        fitting = chroma.shape in ((half_h, half_w, 2), (half_h, 2 * half_w))
        if not (fitting and luma.dtype == chroma.dtype == np.uint8):
            raise DataError(
                "NV12 should be uint8, Y of shape (height, width) and UV of half the size, found "
                f"{_described(luma)} and {_described(chroma)}",
                "sizes of the UV plane are rounded up: a 5 x 3 picture has 3 x 2 pairs",
            )
        check_size(width, height)
        address = self._send([luma, chroma], stream)
        return Nv12OnGpu(
            address, width, address + width * height, 2 * half_w, width, height, standard
        )

    def close(self) -> None:
        """Free the memory. Twice is harmless."""
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None

    def _send(self, planes: list[NDArray[np.uint8]], stream: Stream) -> int:
        """The address on the device of the planes, packed one behind the other."""
        nbytes = sum(plane.size for plane in planes)
        buffer = self._at_least(nbytes)
        start = 0
        for plane in planes:
            np.copyto(buffer.host[start : start + plane.size].reshape(plane.shape), plane)
            start += plane.size
        buffer.upload(stream, nbytes)
        return buffer.device

    def _at_least(self, nbytes: int) -> Buffer:
        if self._buffer is None or self._buffer.nbytes < nbytes:
            self.close()
            self._buffer = self._cuda.buffer(nbytes)
        return self._buffer


class TapsOnGpu:
    """Where the tensor's columns and rows look, for the size of the picture that came last."""

    def __init__(self, preprocess: Preprocess, cuda: Cuda) -> None:
        self._preprocess = preprocess
        self._size = (0, 0)
        self._buffer = cuda.buffer((preprocess.width + preprocess.height) * TAP.itemsize)

    def fits(self, width: int, height: int) -> bool:
        """True when nothing has to be sent for a picture of this size."""
        return self._size == (width, height)

    def send(self, width: int, height: int, stream: Stream) -> None:
        """Send those for a picture of this size. What was there must not be in use any more."""
        taps = np.concatenate(taps_of(self._preprocess, width, height)).view(np.uint8)
        self._buffer.host[: len(taps)] = taps
        self._buffer.upload(stream, len(taps))
        self._size = (width, height)

    @property
    def addresses(self) -> tuple[int, int]:
        """On the device, of the columns and of the rows."""
        columns = self._buffer.device
        return columns, columns + self._preprocess.width * TAP.itemsize

    def close(self) -> None:
        """Free the memory. Twice is harmless."""
        self._buffer.close()


def _described(array: NDArray[np.uint8]) -> str:
    return f"{array.dtype} of shape {array.shape}"
