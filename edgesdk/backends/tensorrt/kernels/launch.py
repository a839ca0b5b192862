"""Preprocessing on the GPU in one pass: resize, colours, scale, mean, std, planes."""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgesdk.backends.tensorrt.cuda import Cuda, Size, Stream
from edgesdk.backends.tensorrt.kernels.arguments import arguments_of
from edgesdk.backends.tensorrt.kernels.colour import Standard
from edgesdk.backends.tensorrt.kernels.compile import compiled, find_compiler
from edgesdk.backends.tensorrt.kernels.pictures import OnGpu
from edgesdk.backends.tensorrt.kernels.staging import Staging, TapsOnGpu
from edgesdk.errors import BackendError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess

BLOCK: Size = (32, 8, 1)
"""Threads: a warp along a row, so that neighbours write neighbours."""
DTYPES = ("float32", "float16")


class GpuPreprocess:
    """What `preprocess` does, on the GPU: float32 is equal to the CPU's tensor bit for bit where
    OpenCV rounds as on x86 (docs/adr/0018); float16 is that tensor rounded to the nearest.

    One thread at a time uses it, with one stream. Memory is allocated when a picture is larger than
    any before, and never else. It waits for its own last launch before it takes the next picture
    from the host, so that the pinned memory is not overwritten while the GPU reads it.

        gpu = GpuPreprocess(preprocess, cuda, "float32")
        answers = session.run_with({"images": functools.partial(gpu, picture)})
        placement = preprocess.placement(width, height)
    """

    def __init__(
        self, preprocess: Preprocess, cuda: Cuda, dtype: DTypeLike, image: bytes | None = None
    ) -> None:
        """`dtype` is the model's input: float32 or float16. `image`: the kernels' cubin; None
        compiles them for this GPU or takes them from the cache.

        Raises BackendError for another dtype, without a compiler, or with the compiler's log.
        """
        self.preprocess = preprocess
        self.dtype = np.dtype(dtype)
        if self.dtype.name not in DTYPES:
            raise BackendError(
                f"the GPU's preprocessing makes {' or '.join(DTYPES)}, found {self.dtype.name}",
                "use edgesdk.Preprocess on the CPU for this model",
            )
        if image is None:
            image = compiled(cuda.compute_capability, find_compiler())
        self._cuda = cuda
        with cuda.active():
            self._module = cuda.module(image)
            self._taps = TapsOnGpu(preprocess, cuda)
            self._staging = Staging(cuda)
            self._done = cuda.event()

    def __call__(self, picture: NDArray[np.uint8], into: int, stream: Stream) -> Placement:
        """Send a picture and start the kernel; returns at once.

        `picture` is BGR uint8 of shape (H, W, 3); its rows may have gaps. It may be changed as soon
        as this returns. `into` is the address on the device of a tensor of shape
        (1, 3, height, width). Raises DataError for anything that is not such a picture.
        """
        with self._cuda.active():
            self._done.synchronize()
            return self._launch(self._staging.bgr(picture, stream), into, stream)

    def nv12(
        self,
        luma: NDArray[np.uint8],
        chroma: NDArray[np.uint8],
        into: int,
        stream: Stream,
        standard: Standard = "bt601",
    ) -> Placement:
        """As a call, for NV12 in the host's memory: Y (H, W), UV (H/2, W/2, 2), rounded up."""
        with self._cuda.active():
            self._done.synchronize()
            picture = self._staging.nv12(luma, chroma, standard, stream)
            return self._launch(picture, into, stream)

    def on_gpu(self, picture: OnGpu, into: int, stream: Stream) -> Placement:
        """As a call, for a picture that is on the device already. Nothing is copied.

        The picture must stay as it is until the stream has passed the kernel.
        """
        with self._cuda.active():
            return self._launch(picture, into, stream)

    def close(self) -> None:
        """Free all of it, once the GPU has read it. Twice is harmless."""
        with contextlib.suppress(BackendError):  # who waits for the stream is told of its failure
            self._done.synchronize()
        for resource in (self._staging, self._taps, self._done, self._module):
            resource.close()

    def _launch(self, picture: OnGpu, into: int, stream: Stream) -> Placement:
        width, height = picture.width, picture.height
        if not self._taps.fits(width, height):
            self._done.synchronize()
            self._taps.send(width, height, stream)
        arguments = arguments_of(self.preprocess, picture, *self._taps.addresses, into)
        name = f"{picture.KERNEL}_{self.dtype.name}"
        self._module.launch(name, self._grid(), BLOCK, [arguments], stream)
        self._done.record(stream)
        return self.preprocess.placement(width, height)

    def _grid(self) -> Size:
        across, down, _ = BLOCK
        return -(-self.preprocess.width // across), -(-self.preprocess.height // down), 1
