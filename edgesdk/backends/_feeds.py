"""What all sessions check before they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgesdk.errors import BackendError
from edgesdk.tensors import Array, TensorSpec

ORT_TYPES = {"float": "float32", "double": "float64"}


def specs_of(values: Iterable[Any]) -> tuple[TensorSpec, ...]:
    """ONNX Runtime's descriptions (name, type "tensor(float)", shape) as specs."""
    return tuple(TensorSpec(v.name, _dtype(v.type), tuple(v.shape)) for v in values)


def check_feeds(inputs: tuple[TensorSpec, ...], feeds: Mapping[str, Array]) -> None:
    """Raise BackendError unless `feeds` has exactly these inputs with their dtypes and shapes."""
    names = {spec.name for spec in inputs}
    if set(feeds) != names:
        raise BackendError(
            f"the model's inputs are {', '.join(sorted(names))}; "
            f"given were {', '.join(sorted(feeds)) or 'none'}"
        )
    for spec in inputs:
        value = feeds[spec.name]
        sizes = zip(spec.shape, value.shape, strict=False)
        fits = len(spec.shape) == value.ndim and all(
            own == size for own, size in sizes if isinstance(own, int)
        )
        if str(value.dtype) != spec.dtype or not fits:
            found = f"{value.dtype}[{'x'.join(map(str, value.shape))}]"
            raise BackendError(f"the input should be {spec}, found {found}")


def _dtype(ort_type: str) -> str:
    inner = ort_type.removeprefix("tensor(").removesuffix(")")
    return ORT_TYPES.get(inner, inner)
