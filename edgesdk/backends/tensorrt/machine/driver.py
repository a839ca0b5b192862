"""Asks the CUDA driver what is here, before any object of TensorRT is made.

Without a driver, TensorRT's builder raises a TypeError about a null pointer and its runtime
crashes when used, so the driver is asked first, by ctypes and nothing else. No context is made:
asking takes no memory of the GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

LIBRARY = "libcuda.so.1"
SUCCESS = 0
NAME_BYTES = 256

# CUdevice_attribute of cuda.h; NVIDIA never renumbers them.
_MAJOR, _MINOR, _INTEGRATED, _SM_COUNT = 75, 76, 18, 16


@dataclass(frozen=True)
class Gpu:
    """One GPU, as the driver describes it."""

    name: str
    """E.g. "Orin"."""
    compute_capability: str
    """E.g. "8.7": what engines and kernels are compiled for."""
    integrated: bool
    """True where the GPU shares the board's memory, as on every Jetson."""
    memory_bytes: int
    """All of it; an integrated GPU shares it with the processor."""
    sm_count: int = 0
    """Streaming multiprocessors that are on: a power mode of a Jetson may switch some off."""

    def __str__(self) -> str:
        return f"{self.name} ({self.compute_capability}), {self.memory_bytes / 2**30:.0f} GiB"


@dataclass(frozen=True)
class Driver:
    """What the CUDA driver says."""

    version: str = ""
    """CUDA that the driver supports, e.g. "12.6"; empty: no driver, or it does not start."""
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
    """One sentence when CUDA cannot be used."""
    code: int | None = None
    """What the call that failed gave; None: none failed, or there is no driver to call."""


class _Failed(Exception):
    """A call of the driver gave an error."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call} gives error {code}")
        self.code = code


def probe_driver(load: Callable[[str], ctypes.CDLL] = ctypes.CDLL) -> Driver:
    """Load the driver, initialise it and describe its GPUs. Never raises.

    Calls cuInit, cuDriverGetVersion, cuDeviceGetCount, cuDeviceGet, cuDeviceGetName,
    cuDeviceGetAttribute and cuDeviceTotalMem of NVIDIA's driver API.
    """
    try:
        cuda = load(LIBRARY)
    except OSError as error:
        return Driver(problem=_unloadable(str(error)))
    code = cuda.cuInit(0)
    if code != SUCCESS:
        problem = f"the NVIDIA driver does not start: cuInit gives error {code}"
        return Driver(problem=f"{problem}{_meaning(code)}", code=code)
    version = ""
    try:
        number = _integer(cuda, "cuDriverGetVersion")
        version = f"{number // 1000}.{number % 1000 // 10}"
        gpus = tuple(_describe(cuda, i) for i in range(_integer(cuda, "cuDeviceGetCount")))
    except _Failed as error:
        problem = f"the NVIDIA driver answers with an error: {error}{_meaning(error.code)}"
        return Driver(version, problem=problem, code=error.code)
    except AttributeError as error:
        return Driver(version, problem=f"{LIBRARY} is no driver of NVIDIA's: {error}")
    problem = "" if gpus else f"the driver (CUDA {version}) finds no GPU"
    return Driver(version, gpus, problem)


def _describe(cuda: ctypes.CDLL, index: int) -> Gpu:
    device = _integer(cuda, "cuDeviceGet", index)
    name = ctypes.create_string_buffer(NAME_BYTES)
    _called(cuda, "cuDeviceGetName", name, NAME_BYTES, device)
    memory = ctypes.c_size_t(0)
    # The second version: the first counts in 32 bits.
    _called(cuda, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    major, minor, integrated, sm_count = (
        _integer(cuda, "cuDeviceGetAttribute", attribute, device)
        for attribute in (_MAJOR, _MINOR, _INTEGRATED, _SM_COUNT)
    )
    text = name.value.decode("utf-8", "replace")
    return Gpu(text, f"{major}.{minor}", bool(integrated), memory.value, sm_count)


def _integer(cuda: ctypes.CDLL, call: str, *arguments: int) -> int:
    """What `call` writes into the integer that its first argument points to."""
    number = ctypes.c_int(0)
    _called(cuda, call, ctypes.byref(number), *arguments)
    return number.value


def _called(cuda: ctypes.CDLL, call: str, *arguments: object) -> None:
    code = getattr(cuda, call)(*arguments)
    if code != SUCCESS:
        raise _Failed(call, code)


def _unloadable(error: str) -> str:
    """Absent, or there and broken: these need different mending."""
    if "cannot open shared object file" in error and error.startswith(LIBRARY):
        return f"there is no NVIDIA driver: {LIBRARY} is not found"
    return f"the NVIDIA driver does not load: {error}"


def _meaning(code: int) -> str:
    words = MEANINGS.get(code)
    return f" ({words})" if words else ""


MEANINGS = {
    1: "invalid value",
    2: "out of memory",
    34: "this is the stub that programs are linked with, not a driver",
    35: "the driver is older than the CUDA that asks it",
    46: "the GPU is busy or in a mode that takes nobody else",
    100: "it finds no GPU",
    101: "invalid device",
    304: "the operating system refused it something, such as a device file",
    801: "not supported here",
    802: "the system is not ready yet",
    803: "the driver's library and its kernel module are of different versions",
    804: "forward compatibility was asked for, and this GPU has none",
    999: "unknown; often a device file that this user may not open",
}
"""CUresult of cuda.h in words; the last is what a Jetson gives to a user without rights."""
