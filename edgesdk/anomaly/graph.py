"""The graph: from a backbone's maps to descriptions of places, and from these to score and heat.

Places are compared as in PatchCore (Roth et al., "Towards Total Recall in Industrial Anomaly
Detection", arXiv:2106.08265): a description is the neighbourhood's mean over 3 x 3 places of
several layers, brought to one grid and joined. Here its principal components are kept, and the
squared distance to the nearest of the bank is one convolution:

    |f - b|^2 - u = |f|^2 - 2 f.b + (|b|^2 - u)

u is how far from the entry b good places of other parts usually are. Good parts have rare looks
(stains, edges) of which no two are alike, and common ones that are always the same: a distance
that is nothing for the first is much for the second. A distance less a square of the entry's own
is a power distance (Aurenhammer, "Power diagrams", 1987); that a distance counts by what is usual
nearby is the local outlier factor's idea (Breunig et al., 2000) and that of PatchCore's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.anomaly.layers import Maps
from edgesdk.model import Model
from edgesdk.model.edit import only_outputs
from edgesdk.tensors import Array, Floats

PREFIX = "inspect/"
"""Of all nodes that are not the backbone's. They stay float32: small differences of large numbers
are what they are about."""
DESCRIPTION, SCORE, HEAT = "inspect/description", "score", "heat"
AROUND = 3
"""Places to a side of the neighbourhood that is averaged."""


@dataclass(frozen=True, eq=False)
class Bank:
    """What good places look like."""

    mean: Floats
    """Of the descriptions, shape (D,)."""
    basis: Floats
    """Compresses a description that its mean was taken off: shape (D, P)."""
    entries: Floats
    """Compressed descriptions of good places, shape (B, P)."""
    usual: Floats
    """Mean squared distance over the P components at which other good places are, shape (B,)."""


class _Writer:
    """Appends nodes with constants to a graph."""

    def __init__(self, model: Model) -> None:
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(model.proto)
        del self.proto.graph.value_info[:]

    def constant(self, name: str, values: Array) -> str:
        """An initializer."""
        self.proto.graph.initializer.append(numpy_helper.from_array(values, PREFIX + name))
        return PREFIX + name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        name: str,
        output: str = "",
        **attributes: object,
    ) -> str:
        """A node and its one output, called as the node where nothing else is said."""
        output = output or PREFIX + name
        self.proto.graph.node.append(
            helper.make_node(operator, list(inputs), [output], PREFIX + name, **attributes)
        )
        return output

    def result(self, name: str, shape: Sequence[int]) -> None:
        """One more output of the graph."""
        self.proto.graph.output.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        )

    def model(self, name: str) -> Model:
        """What was written, with the shape of every tensor."""
        inferred = onnx.shape_inference.infer_shapes(self.proto, check_type=True, strict_mode=True)
        onnx.checker.check_model(inferred)
        return Model.of(inferred, name)


def describe(backbone: Model, layers: Maps) -> Model:
    """The part of a prepared backbone that describes places: output (N, D, h, w).

    The grid is that of the finest of `layers`.
    """
    writer = _Writer(only_outputs(backbone, layers))
    grid = max(shape[2:] for shape in layers.values())
    maps = [_on_grid(writer, name, shape, grid) for name, shape in layers.items()]
    writer.node("Concat", maps, "join", DESCRIPTION, axis=1)
    del writer.proto.graph.output[:]
    channels = sum(shape[1] for shape in layers.values())
    writer.result(DESCRIPTION, (*next(iter(layers.values()))[:1], channels, *grid))
    return writer.model(backbone.name)


def _on_grid(writer: _Writer, name: str, shape: tuple[int, ...], grid: tuple[int, ...]) -> str:
    """One layer, averaged over neighbours and brought to the grid."""
    own, pad = f"{name}/", [AROUND // 2] * 4
    # Zeros around count, as in PatchCore: what is cut by the border stands out less.
    size = [AROUND] * 2
    around = writer.node(
        "AveragePool", [name], own + "around", kernel_shape=size, pads=pad, count_include_pad=1
    )
    if shape[2:] == grid:
        return around
    sizes = writer.constant(f"{own}sizes", np.array([*shape[:2], *grid], np.int64))
    return writer.node("Resize", [around, "", "", sizes], f"{own}grid", mode="linear")


def with_bank(described: Model, bank: Bank) -> Model:
    """The whole graph: outputs `score` (N,), the largest distance of a place, and `heat`
    (N, 1, h, w), the distance of each.

    A distance is the root of the mean square over the P components, in units of the good places'
    own spread: about 1 for a place as far from the bank as good places are from their mean. What
    is usual for an entry counts by how much it is more, or less, than for the mean entry.
    """
    writer = _Writer(described)
    del writer.proto.graph.output[:]
    batch, _, height, width = map(int, described.outputs[0].shape)
    short = _compressed(writer, bank)
    nearest = _nearest(writer, short, bank)
    heat = writer.node("Sqrt", [nearest], "root", HEAT)
    writer.node("ReduceMax", [heat], "worst", SCORE, axes=[1, 2, 3], keepdims=0)
    writer.result(SCORE, (batch,))
    writer.result(HEAT, (batch, 1, height, width))
    return writer.model(described.name)


def _compressed(writer: _Writer, bank: Bank) -> str:
    weight = bank.basis.T[:, :, None, None].astype(np.float32)
    shift = -(bank.mean.astype(np.float64) @ bank.basis.astype(np.float64))
    inputs = [
        DESCRIPTION,
        writer.constant("compress/weight", np.ascontiguousarray(weight)),
        writer.constant("compress/shift", shift.astype(np.float32)),
    ]
    return writer.node("Conv", inputs, "compress", kernel_shape=[1, 1])


def _nearest(writer: _Writer, short: str, bank: Bank) -> str:
    """Mean squared difference to the nearest entry, less what is usual there, at each place."""
    components = bank.entries.shape[1]
    wide, usual = bank.entries.astype(np.float64), bank.usual.astype(np.float64)
    weight = (-2 / components * wide).astype(np.float32)[:, :, None, None]
    energy = (wide * wide).sum(axis=1) / components - (usual - usual.mean())
    inputs = [
        short,
        writer.constant("bank/weight", np.ascontiguousarray(weight)),
        writer.constant("bank/energy", energy.astype(np.float32)),
    ]
    cross = writer.node("Conv", inputs, "bank", kernel_shape=[1, 1])
    least = writer.node("ReduceMin", [cross], "nearest", axes=[1], keepdims=1)
    square = writer.node("Mul", [short, short], "square")
    own = writer.node("ReduceMean", [square], "energy", axes=[1], keepdims=1)
    total = writer.node("Add", [own, least], "difference")
    zero = writer.constant("zero", np.zeros(1, np.float32))
    return writer.node("Max", [total, zero], "positive")
