"""What the kernels need of a GPU; `edgesdk.backends.tensorrt.cuda.Cuda` gives it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int, int]
"""Of a grid in blocks or of a block in threads: x, y, z."""


class Stream(Protocol):
    """Work that the GPU does in order."""

    def synchronize(self) -> None:
        """Wait until all of it is done."""


class Event(Protocol):
    """A mark in a stream."""

    def record(self, stream: Stream) -> None:
        """Set the mark behind all that was given to the stream."""

    def synchronize(self) -> None:
        """Wait until the stream has passed it; at once when it was never set."""


class Buffer(Protocol):
    """Pinned host memory and its other side on the device."""

    @property
    def host(self) -> NDArray[np.uint8]:
        """Shape (nbytes,)."""

    @property
    def device(self) -> int:
        """Address."""

    def upload(self, stream: Stream, nbytes: int) -> None:
        """Copy the first `nbytes` to the device; nothing where both sides are one memory."""

    def close(self) -> None:
        """Free it. Twice is harmless."""


class Module(Protocol):
    """Machine code on the device."""

    def launch(
        self,
        name: str,
        grid: Size,
        block: Size,
        arguments: Sequence[np.generic],
        stream: Stream,
    ) -> None:
        """Start the kernel called `name`."""


class Gpu(Protocol):
    """One GPU and its primary context."""

    @property
    def compute_capability(self) -> str:
        """E.g. "8.7"."""

    def active(self) -> AbstractContextManager[object]:
        """Makes the context current on this thread."""

    def buffer(self, nbytes: int) -> Buffer:
        """New memory; its owner closes it."""

    def event(self) -> Event:
        """A new mark."""

    def module(self, image: bytes) -> Module:
        """Load a cubin."""
