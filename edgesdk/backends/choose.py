"""Backends by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgesdk.backends.base import Backend, Session
from edgesdk.backends.onnxruntime import OnnxRuntimeBackend
from edgesdk.backends.reference import ReferenceBackend
from edgesdk.backends.tensorrt import TensorRTBackend
from edgesdk.errors import UnknownName
from edgesdk.model import Model


def backend_names() -> tuple[str, ...]:
    """All backends, usable here or not; the fastest first."""
    return ("tensorrt", "onnxruntime", "reference")


@contextmanager
def opened(backend: Backend, model: Model) -> Iterator[Session]:
    """Compile and open `model`, and close it afterwards."""
    session = backend.open(backend.compile(model))
    try:
        yield session
    finally:
        session.close()


def load_backend(
    name: str, threads: int = 0, exact: bool = False, patient: bool = False
) -> Backend:
    """The backend called `name`.

    `threads` (0: all cores) and `exact` (compute Q/DQ as written, without fusion) are for
    onnxruntime, and so is `patient` (threads sleep while they wait); the reference is always exact,
    and TensorRT has no use for any of them. Raises
    UnknownName for any other name.
    """
    if name == "tensorrt":
        return TensorRTBackend()
    if name == "onnxruntime":
        return OnnxRuntimeBackend(threads, exact, patient)
    if name == "reference":
        return ReferenceBackend()
    raise UnknownName("backend", name, backend_names())
