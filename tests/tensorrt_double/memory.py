"""Memory of the host: what TensorRT calls IHostMemory, and addresses read as arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


def host_memory(base: type, data: bytes) -> Any:
    """An object of `base` (the double's IHostMemory) that shows `data` to memoryview and bytes.

    Python classes cannot offer the buffer protocol before 3.12, but arrays of ctypes do.
    """
    array: Any = ctypes.c_ubyte * len(data)
    meta = type("Meta", (type(array), type(base)), {})
    spared = dict.fromkeys(("__len__", "__iter__", "__getitem__"), no_length)
    cls = meta("IHostMemory", (base, array), spared | {"__init__": lambda self: None})
    found = cls.__new__(cls)
    ctypes.memmove(found, data, len(data))
    return found


def no_length(self: Any, *index: Any) -> Any:
    raise TypeError("IHostMemory is a buffer: use bytes() or memoryview()")


def array_at(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A view of memory that someone else owns."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = (ctypes.c_ubyte * size).from_address(address)
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
