"""What one launch is told: struct Arguments of preprocess.cuh, byte for byte."""

from __future__ import annotations

import numpy as np

from edgesdk.backends.tensorrt.kernels.pictures import OnGpu
from edgesdk.preprocess import Preprocess

COLOUR = np.dtype(
    [(name, np.int32) for name in ("black", "luma", "blue_u", "green_u", "green_v", "red_v")]
)
"""struct Colour."""
ARGUMENTS = np.dtype(
    [
        ("picture", np.uint64),
        ("chroma", np.uint64),
        ("columns", np.uint64),
        ("rows", np.uint64),
        ("tensor", np.uint64),
        ("pitch", np.uint32),
        ("chroma_pitch", np.uint32),
        ("width", np.int32),
        ("height", np.int32),
        ("planes", np.int32, (3,)),
        ("border", np.int32),
        ("factor", np.float32, (3,)),
        ("shift", np.float32, (3,)),
        ("colour", COLOUR),
    ],
    align=True,
)
"""struct Arguments."""


def arguments_of(
    preprocess: Preprocess, picture: OnGpu, columns: int, rows: int, tensor: int
) -> np.void:
    """The kernel's only parameter.

    `columns`, `rows` and `tensor` are addresses on the device: the taps of `taps_of`, and the
    tensor of shape (1, 3, height, width). Planes, factors and shifts are turned from the model's
    order of colours into B, G, R.
    """
    order = slice(None, None, -1) if preprocess.color == "rgb" else slice(None)
    filled: np.void = np.zeros(1, ARGUMENTS)[0]
    (filled["picture"], filled["pitch"]), (filled["chroma"], filled["chroma_pitch"]) = (
        picture.planes
    )
    filled["columns"], filled["rows"], filled["tensor"] = columns, rows, tensor
    filled["width"], filled["height"] = preprocess.width, preprocess.height
    filled["planes"] = (0, 1, 2)[order]
    filled["border"] = preprocess.pad_value
    filled["factor"], filled["shift"] = preprocess.factor[order], preprocess.shift[order]
    colour = picture.colour
    for name in COLOUR.names or ():
        filled["colour"][name] = getattr(colour, name)
    return filled
