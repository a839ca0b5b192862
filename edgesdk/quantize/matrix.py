"""A layer as a matrix product: every operator that runs in INT8 is y = W x at each of its places.

    Conv           rows: output channels           columns: (input channel, kernel place)
    ConvTranspose  rows: (output channel, kernel place)   columns: input channels
    Gemm, MatMul   rows: output features           columns: input features

Groups stand first: W has shape (groups, rows, columns), x (groups, places, columns). A transposed
convolution adds up several products for one value of its output; each product is a row here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesdk.quantize.layers import Layer
from edgesdk.tensors import Array, Floats


def as_matrix(weight: Array, layer: Layer) -> Array:
    """The weight as (groups, rows, columns)."""
    if layer.operator in ("Gemm", "MatMul"):
        return (weight if layer.axis == 0 else weight.T)[None]
    if layer.operator == "ConvTranspose":
        inputs = weight.shape[0] // layer.groups
        split = weight.reshape(layer.groups, inputs, -1)
        return np.swapaxes(split, 1, 2)
    return weight.reshape(layer.groups, weight.shape[0] // layer.groups, -1)


def from_matrix(matrix: Array, layer: Layer, shape: Sequence[int]) -> Array:
    """The inverse of `as_matrix`, for a weight of this shape."""
    if layer.operator in ("Gemm", "MatMul"):
        return np.ascontiguousarray(matrix[0] if layer.axis == 0 else matrix[0].T)
    if layer.operator == "ConvTranspose":
        return np.ascontiguousarray(np.swapaxes(matrix, 1, 2)).reshape(shape)
    return np.ascontiguousarray(matrix).reshape(shape)


def row_scales(scales: Floats, layer: Layer, shape: Sequence[int]) -> Floats:
    """The scale of each row, shape (groups, rows), from one for each entry of the weight's axis."""
    if layer.operator == "ConvTranspose":
        rows = np.repeat(scales, prod(shape[2:]))
        return np.broadcast_to(rows, (layer.groups, len(rows)))
    return scales.reshape(layer.groups, -1)


def output_channels(rows: Array, layer: Layer, shape: Sequence[int]) -> Array:
    """One figure for each output channel from one for each row (groups, rows).

    The rows of a transposed convolution that meet in one output are added up; each output value
    meets kernel places / strides of them, so their mean times that is what an output sees.
    """
    if layer.operator != "ConvTranspose":
        return rows.ravel()
    places = prod(shape[2:])
    added: Array = rows.reshape(layer.groups * shape[1], places).sum(axis=1)
    return added / prod(layer.strides)


def column_factors(factors: Array, layer: Layer, columns: int) -> Array:
    """The factor of each column, shape (groups, 1, columns), from one for each input channel."""
    by_group = factors.reshape(layer.groups, -1)
    return np.repeat(by_group, columns // by_group.shape[1], axis=1)[:, None, :]


def places(
    values: Floats, node: onnx.NodeProto, layer: Layer, kernel: Sequence[int], chosen: Places
) -> Floats:
    """What the layer reads at some of its places: (groups, places, columns).

    `values` is the layer's input, and `chosen` picks from the number of places in all its batch.
    """
    if layer.operator in ("Gemm", "MatMul"):
        rows = values.reshape(-1, values.shape[-1])
        return rows[chosen(len(rows))][None]
    if layer.operator == "ConvTranspose":
        flat = np.concatenate([v.reshape(v.shape[0], -1) for v in values], axis=1)
        picked = flat[:, chosen(flat.shape[1])]
        return np.swapaxes(picked.reshape(layer.groups, -1, picked.shape[1]), 1, 2)
    return _windows(values, node, layer, kernel, chosen)


class Places:
    """Picks at most `count` of the places of a tensor, the same ones each time."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed

    def __call__(self, available: int) -> NDArray[np.int64]:
        """Indices, ascending."""
        if available <= self._count:
            return np.arange(available)
        rng = np.random.default_rng([self._seed, available])
        return np.sort(rng.choice(available, self._count, replace=False))


def _windows(
    values: Floats, node: onnx.NodeProto, layer: Layer, kernel: Sequence[int], chosen: Places
) -> Floats:
    """What lies below the kernel at chosen places of (batch, channels, ...)."""
    rank = len(kernel)
    strides, dilations, pads = _settings(node, kernel, values.shape[2:])
    around = zip(pads[:rank], pads[rank:], strict=True)
    padded = np.pad(values, [(0, 0), (0, 0), *around])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    axes = tuple(range(2, 2 + rank))
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=axes)
    views = views[tuple(slice(None, None, step) for step in (1, 1, *strides, *dilations))]
    available = (views.shape[0], *views.shape[2 : 2 + rank])
    picture, *where = np.unravel_index(chosen(prod(available)), available)
    at: tuple[Any, ...] = (picture, slice(None), *where)
    picked = views[at]  # (places, channels, *kernel)
    found: Floats = np.swapaxes(picked.reshape(len(picked), layer.groups, -1), 0, 1)
    return found


def _settings(
    node: onnx.NodeProto, kernel: Sequence[int], size: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations and pads (all beginnings, then all ends)."""
    given: dict[str, Any] = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    rank = len(kernel)
    strides = list(given.get("strides", [1] * rank))
    dilations = list(given.get("dilations", [1] * rank))
    pads = list(given.get("pads", [0] * 2 * rank))
    auto = given.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, s, k, d in zip(size, strides, kernel, dilations, strict=True)
        ]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = [*small, *large] if auto == b"SAME_UPPER" else [*large, *small]
    elif auto == b"VALID":
        pads = [0] * 2 * rank
    return strides, dilations, pads
