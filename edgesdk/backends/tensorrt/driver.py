"""Asks the CUDA driver what is here, before any object of TensorRT is made.

Without a driver, TensorRT's builder raises a TypeError about a null pointer and its runtime
crashes when used, so the driver is asked first, by ctypes and nothing else.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

LIBRARY = "libcuda.so.1"
SUCCESS = 0


@dataclass(frozen=True)
class Driver:
    """What the CUDA driver says."""

    version: str = ""
    """CUDA version that the driver supports, e.g. "12.6"; empty: no driver."""
    devices: int = 0
    problem: str = ""
    """One sentence when CUDA cannot be used."""


def probe_driver(load: Callable[[str], ctypes.CDLL] = ctypes.CDLL) -> Driver:
    """Load the driver, initialise it and count its devices. Never raises.

    Calls cuInit, cuDriverGetVersion and cuDeviceGetCount of NVIDIA's driver API.
    """
    try:
        cuda = load(LIBRARY)
    except OSError:
        return Driver(problem=f"there is no NVIDIA driver: {LIBRARY} is not found")
    number = ctypes.c_int(0)
    code = cuda.cuInit(0)
    if code != SUCCESS:
        return Driver(problem=f"the NVIDIA driver does not start: cuInit gives error {code}")
    cuda.cuDriverGetVersion(ctypes.byref(number))
    version = f"{number.value // 1000}.{number.value % 1000 // 10}"
    code = cuda.cuDeviceGetCount(ctypes.byref(number))
    if code != SUCCESS or number.value == 0:
        return Driver(version, problem=f"the driver (CUDA {version}) finds no GPU")
    return Driver(version, number.value)
