"""What every TensorRT from 8.5 to 11 has."""

from __future__ import annotations

from typing import Protocol


class TensorRT(Protocol):
    """The module `tensorrt`."""

    __version__: str
