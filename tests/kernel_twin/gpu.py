"""Stands in for `cuda.Cuda` where only the kernels are looked at: device memory is host memory."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk.backends.tensorrt.cuda import Size


class TwinStream:
    def synchronize(self) -> None:
        pass


class TwinEvent:
    def record(self, stream: TwinStream) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def close(self) -> None:
        pass


class TwinBuffer:
    """Both sides apart, so that a forgotten upload shows; the device's is not zero at first."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.host = np.zeros(nbytes, np.uint8)
        self.memory = np.full(nbytes, 0xAB, np.uint8)
        self.closed = False

    @property
    def device(self) -> int:
        return address(self.memory)

    def upload(self, stream: TwinStream, nbytes: int) -> None:
        assert not self.closed
        self.memory[:nbytes] = self.host[:nbytes]

    def close(self) -> None:
        self.closed = True


class TwinModule:
    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.launches: list[tuple[str, Size, Size]] = []

    def launch(
        self,
        name: str,
        grid: Size,
        block: Size,
        arguments: Sequence[np.generic],
        stream: TwinStream,
    ) -> None:
        self.launches.append((name, grid, block))
        texts = [argument.tobytes() for argument in arguments]
        pointers = (ctypes.c_char_p * len(texts))(*texts)
        three = ctypes.c_uint * 3
        getattr(self.library, name)(three(*grid), three(*block), pointers)

    def close(self) -> None:
        pass


class TwinGpu:
    compute_capability = "8.7"

    def __init__(self, path: Path) -> None:
        self.loaded = TwinModule(path)
        self.buffers: list[TwinBuffer] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        yield

    def buffer(self, nbytes: int) -> TwinBuffer:
        self.buffers.append(TwinBuffer(nbytes))
        return self.buffers[-1]

    def event(self) -> TwinEvent:
        return TwinEvent()

    def module(self, image: bytes) -> TwinModule:
        return self.loaded


def address(array: NDArray[np.generic]) -> int:
    return int(array.ctypes.data)
