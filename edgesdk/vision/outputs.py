"""Taking the expected tensor out of a model's outputs, or saying what came instead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesdk.errors import ModelError
from edgesdk.tensors import Array


def output(outputs: Mapping[str, Array], name: str, shape: tuple[int | None, ...]) -> Array:
    """The output called `name` (empty: the only one) if it has `shape`; None fits any size.

    Raises ModelError that lists what was found.
    """
    if name not in outputs and (name or len(outputs) != 1):
        wanted = f"an output named {name!r}" if name else "exactly one output"
        raise ModelError(f"the decoder expects {wanted}; found {listed(outputs)}", _HINT)
    found = outputs[name] if name else next(iter(outputs.values()))
    fits = len(found.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, found.shape, strict=True)
    )
    if not fits:
        sizes = "x".join("?" if size is None else str(size) for size in shape)
        title = f"output {name!r}" if name else "the output"
        raise ModelError(f"{title} should have shape {sizes}; found {listed(outputs)}", _HINT)
    return found


def by_word(outputs: Mapping[str, Array], name: str, key: str, words: tuple[str, ...]) -> Array:
    """The output called `name`; empty: the only one with one of `words` in its name.

    `key` is the setting that names it, for messages. Raises ModelError where there is none, or
    more than one.
    """
    if name:
        fits = [name] if name in outputs else []
    else:
        fits = [found for found in outputs if any(word in found.lower() for word in words)]
    if len(fits) == 1:
        return outputs[fits[0]]
    wanted = f"named {name!r}" if name else f"with {' or '.join(map(repr, words))} in its name"
    raise ModelError(
        f"the decoder expects one output {wanted} for its {key}; found {listed(outputs)}",
        f"name it in the spec: [decoder] {key} = ...",
    )


def boxes_and_other(
    outputs: Mapping[str, Array], boxes: str, other: str, key: str
) -> tuple[Array, Array]:
    """Boxes (N, 4) and what is said of each (N, C), of outputs 1 x N x 4 and 1 x N x C.

    Empty names: of the two outputs of that form, the boxes are the one with 4 columns. `key` is
    the setting that names the other. Raises ModelError when the outputs are not these.
    """
    flat = {k: v for k, v in outputs.items() if len(v.shape) == 3 and len(v) == 1}
    if not boxes:
        fits = [k for k, v in flat.items() if v.shape[2] == 4 and k != other]
        boxes = fits[0] if len(fits) == 1 else ""
    if not other:
        fits = [k for k in flat if k != boxes]
        other = fits[0] if boxes and len(fits) == 1 else ""
    if boxes not in flat or other not in flat or flat[boxes].shape[1:] != (len(flat[other][0]), 4):
        raise ModelError(
            f"the decoder expects boxes 1xNx4 and {key} 1xNxC; found {listed(outputs)}",
            f"name them in the spec: [decoder] boxes = ... and {key} = ...",
        )
    return flat[boxes][0], flat[other][0]


def falling(scores: Array, count: int) -> Array:
    """The `count` largest scores in falling order, with zeros where there are fewer; (count,)."""
    best = np.sort(np.nan_to_num(scores.ravel()).astype(np.float32))[::-1][:count]
    return np.pad(best, (0, count - len(best)))


def listed(outputs: Mapping[str, Array]) -> str:
    """Names and shapes, for messages."""
    shapes = (f"{name} {'x'.join(map(str, value.shape))}" for name, value in outputs.items())
    return ", ".join(shapes) or "none"


_HINT = "check the decoder's type and settings, and the input's size, in the model's spec"
