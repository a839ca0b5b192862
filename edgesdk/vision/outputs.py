"""Taking the expected tensor out of a model's outputs, or saying what came instead."""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk.errors import ModelError
from edgesdk.tensors import Array


def output(outputs: Mapping[str, Array], name: str, shape: tuple[int | None, ...]) -> Array:
    """The output called `name` (empty: the only one) if it has `shape`; None fits any size.

    Raises ModelError that lists what was found.
    """
    if name not in outputs and (name or len(outputs) != 1):
        wanted = f"an output named {name!r}" if name else "exactly one output"
        raise ModelError(f"the decoder expects {wanted}; found {_listed(outputs)}", _HINT)
    found = outputs[name] if name else next(iter(outputs.values()))
    fits = len(found.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, found.shape, strict=True)
    )
    if not fits:
        sizes = "x".join("?" if size is None else str(size) for size in shape)
        title = f"output {name!r}" if name else "the output"
        raise ModelError(f"{title} should have shape {sizes}; found {_listed(outputs)}", _HINT)
    return found


_HINT = "check the decoder's type and settings, and the input's size, in the model's spec"


def _listed(outputs: Mapping[str, Array]) -> str:
    shapes = (f"{name} {'x'.join(map(str, value.shape))}" for name, value in outputs.items())
    return ", ".join(shapes) or "none"
