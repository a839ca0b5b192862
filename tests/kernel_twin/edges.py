"""Runs the kernels over edge sizes in memory that ends where the picture ends.

Run by test_kernels.py with AddressSanitizer: python -m tests.kernel_twin.edges TWIN [LIE]. A LIE
("picture", "chroma" or "tensor") names memory that gets one byte fewer than it needs.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
from pathlib import Path

import numpy as np

from edgesdk.backends.tensorrt.kernels.launch import GpuPreprocess
from edgesdk.backends.tensorrt.kernels.pictures import BgrOnGpu, Nv12OnGpu
from edgesdk.preprocess import Preprocess, Resize
from tests.kernel_twin.gpu import TwinGpu, TwinStream

SIZES = ((1, 1), (2, 1), (1, 2), (3, 3), (5, 2), (33, 17), (64, 48), (129, 65), (700, 3), (2, 311))
INTO = ((1, 1), (33, 9), (64, 48))
RESIZES: tuple[Resize, ...] = ("letterbox", "letterbox-top-left", "stretch", "center-crop")


class Memory:
    """Exactly so many bytes from malloc."""

    def __init__(self, nbytes: int) -> None:
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.restype = ctypes.c_void_p
        self.libc.malloc.argtypes = [ctypes.c_size_t]
        self.libc.free.argtypes = [ctypes.c_void_p]
        self.address = self.libc.malloc(nbytes)
        ctypes.memset(self.address, 77, nbytes)

    def free(self) -> None:
        self.libc.free(self.address)


def read_all(twin: Path, lie: str) -> int:
    """How many pictures were read."""
    cuda, count = TwinGpu(twin), 0
    for (width, height), into, resize in itertools.product(SIZES, INTO, RESIZES):
        for dtype in (np.float32, np.float16):
            gpu = GpuPreprocess(Preprocess(*into, resize), cuda, dtype, b"")
            tensor_bytes = 3 * into[0] * into[1] * np.dtype(dtype).itemsize
            tensor = Memory(tensor_bytes - (lie == "tensor"))
            for gap in (0, 13):
                show_bgr(gpu, width, height, gap, tensor, lie)
                show_nv12(gpu, width, height, gap, tensor, lie)
                count += 2
            tensor.free()
    return count


def show_bgr(
    gpu: GpuPreprocess, width: int, height: int, gap: int, tensor: Memory, lie: str
) -> None:
    pitch = 3 * width + gap
    memory = Memory(pitch * (height - 1) + 3 * width - (lie == "picture"))
    picture = BgrOnGpu(memory.address, width, height, pitch)
    gpu.on_gpu(picture, tensor.address, TwinStream())
    memory.free()


def show_nv12(
    gpu: GpuPreprocess, width: int, height: int, gap: int, tensor: Memory, lie: str
) -> None:
    even, half = (width + 1) // 2 * 2, (height + 1) // 2
    luma = Memory((width + gap) * (height - 1) + width)
    chroma = Memory((even + gap) * (half - 1) + even - (lie == "chroma"))
    picture = Nv12OnGpu(luma.address, width + gap, chroma.address, even + gap, width, height)
    gpu.on_gpu(picture, tensor.address, TwinStream())
    luma.free()
    chroma.free()


if __name__ == "__main__":
    lies = sys.argv[2] if len(sys.argv) > 2 else ""
    print(f"{read_all(Path(sys.argv[1]), lies)} pictures read")
