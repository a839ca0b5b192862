"""Backends by name."""

from __future__ import annotations

from edgesdk.backends.base import Backend
from edgesdk.backends.onnxruntime import OnnxRuntimeBackend
from edgesdk.backends.reference import ReferenceBackend
from edgesdk.backends.tensorrt import TensorRTBackend
from edgesdk.errors import UnknownName


def backend_names() -> tuple[str, ...]:
    """All backends, usable here or not; the fastest first."""
    return ("tensorrt", "onnxruntime", "reference")


def load_backend(name: str, threads: int = 0, exact: bool = False) -> Backend:
    """The backend called `name`.

    `threads` (0: all cores) and `exact` (compute Q/DQ as written, without fusion) are for
    onnxruntime; the reference is always exact, and TensorRT has no use for either. Raises
    UnknownName for any other name.
    """
    if name == "tensorrt":
        return TensorRTBackend()
    if name == "onnxruntime":
        return OnnxRuntimeBackend(threads, exact)
    if name == "reference":
        return ReferenceBackend()
    raise UnknownName("backend", name, backend_names())
