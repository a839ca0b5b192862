"""What an error of CUDA means for who runs a model, and what to do about it."""

from __future__ import annotations

from edgesdk.errors import BackendError

MIB = 1 << 20
LESS_MEMORY = (
    "close other sessions and programs that use the GPU, or build for smaller inputs; on a Jetson "
    "the GPU's memory is the board's (free -m)"
)
BROKEN = (
    "the GPU stopped in the middle of a kernel and this process cannot use it any more: start it "
    "again; compute-sanitizer shows where, dmesg what the driver saw"
)
OTHER_CODE = (
    "it was compiled for another GPU, or by a CUDA that is newer than the driver: set CUDA_HOME to "
    "the CUDA of this JetPack, and remove the folder `kernels` of edgesdk's cache"
)
BROKEN_SIGNS = ("illegal memory access", "launch failure", "misaligned", "ECC", "launch timed out")


def explained(error: Exception) -> BackendError:
    """An error of pycuda (pycuda.driver.Error) in words, with what to do."""
    text = str(error).strip(" -")  # pycuda ends some with a dash and no more
    if any(sign in text for sign in BROKEN_SIGNS):
        return BackendError(f"CUDA: {text}", BROKEN)
    if "out of memory" in text:
        return BackendError(f"CUDA: {text}", LESS_MEMORY)
    if "kernel image" in text:
        return BackendError(f"CUDA: {text}", OTHER_CODE)
    return BackendError(f"CUDA: {text}")


def out_of_memory(asked: int, unused: int, total: int) -> BackendError:
    """All in bytes."""
    return BackendError(
        f"the GPU's memory is full: {size(asked)} were asked for, "
        f"{size(unused)} of {size(total)} are free",
        LESS_MEMORY,
    )


def closed(what: str) -> BackendError:
    """Use after close."""
    return BackendError(f"this {what} is closed", "open a new one")


def size(nbytes: int) -> str:
    """Such as "12.5 MiB" or "100 bytes"."""
    return f"{nbytes / MIB:.1f} MiB" if nbytes >= MIB else f"{nbytes} bytes"
