"""Preprocessing on the GPU makes the CPU's tensors."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.kernels import GpuPreprocess
from edgesdk.preprocess import Preprocess, Resize

SIZES = ((64, 48), (640, 480), (1280, 720), (333, 257), (1, 1))
"""Width, height; odd ones and a single pixel among them."""
ONE_STEP = 1.05 / 255 / 0.2
"""One of the 256 values of a channel, divided by the smallest std. Resizing rounds to them, and
OpenCV on aarch64 rounds some ties otherwise than on x86, which the kernel follows. FP16 rounds by
less than a tenth of it."""


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("resize", ["letterbox", "letterbox-top-left", "stretch", "center-crop"])
def test_the_gpu_s_tensor_is_the_cpu_s(
    cuda: Cuda, kernels: bytes | None, resize: Resize, dtype: str
) -> None:
    means, spreads = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    preprocess = Preprocess(
        width=416, height=320, resize=resize, scale=1 / 255, mean=means, std=spreads
    )
    on_gpu = GpuPreprocess(preprocess, cuda, dtype, kernels)
    stream = cuda.stream()
    shape = (1, 3, preprocess.height, preprocess.width)
    buffer = cuda.buffer(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    rng = np.random.default_rng(3)
    for width, height in SIZES:
        picture = rng.integers(0, 256, (height, width, 3), np.uint8)
        expected, placement = preprocess(picture)
        assert on_gpu(picture, buffer.device, stream) == placement
        buffer.download(stream)
        stream.synchronize()
        found = buffer.host.view(dtype).reshape(shape)
        assert np.abs(expected - found.astype(np.float32)).max() <= ONE_STEP
    on_gpu.close()
