"""Backends by name. Each is imported only when it is asked for: a run needs one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgesdk.backends.base import Backend, Session, ShowProgress, no_progress
from edgesdk.bundle import Bundle
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
        from edgesdk.backends.tensorrt import TensorRTBackend  # noqa: PLC0415

        return TensorRTBackend()
    if name == "onnxruntime":
        from edgesdk.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

        return OnnxRuntimeBackend(threads, exact, patient)
    if name == "reference":
        from edgesdk.backends.reference import ReferenceBackend  # noqa: PLC0415

        return ReferenceBackend()
    raise UnknownName("backend", name, backend_names())


def load_backend_for(
    bundle: Bundle | None, name: str, threads: int = 0, compiling: ShowProgress = no_progress
) -> Backend:
    """The backend called `name` for a bundle; None: for a model that belongs to none.

    TensorRT then takes its engine from the folder beside the bundle: what `edgesdk compile` made
    last, or what the bundle asks for where nothing was compiled yet; `compiling` is told how far
    that is. Otherwise as `load_backend`.
    """
    if name == "tensorrt":
        from edgesdk.backends.tensorrt import TensorRTBackend  # noqa: PLC0415

        return TensorRTBackend(bundle, progress=compiling)
    return load_backend(name, threads)
