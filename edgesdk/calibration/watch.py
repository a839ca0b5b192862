"""Watching inside the graph: a copy of the float model whose outputs are small.

Handing every activation out costs more than computing it. So the graph itself takes a sample of
the positions (a MaxPool of kernel 1x1 with a stride picks exact values, and ONNX Runtime keeps its
blocked layout for it), the exact maximum by channel (GlobalMaxPool) and, where the operators do
not bound the tensor from below, the exact minimum. Max operators may pass over NaN; the mean by
channel does not, so it is what shows that all values are finite.

Which positions are taken depends on the shape and on the number of pictures announced, never on
the pictures: the counts are the same in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf, log, prod
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.calibration.bounds import ANY, value_bounds
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in, value_shapes

TENSOR_SAMPLES = 1 << 20
"""About so many values of each tensor are counted in the whole run: 100 lie beyond its 99.99 %."""
CHANNEL_SAMPLES = 1024
"""And at least about so many of each of its channels."""
LEAST_PICTURES = 16
"""A run of fewer pictures takes no more of each than one of so many."""
LEAST_POSITIONS = 8
"""Taken of each picture, however many there are."""
UNKNOWN_PICTURES = 1024
"""Taken for the number of pictures when it is not known."""

Strides = tuple[int, ...]
Extreme = Literal["high", "low", "mean"]


@dataclass(frozen=True)
class Point:
    """One watched tensor and the one flat row of values that is made of it for each picture.

    The row holds the sampled values in the tensor's own order, and behind them, by channel, what
    `extremes` names.
    """

    tensor: str
    axis: int
    """Of the channels."""
    output: str
    """Of the watched model; empty for an input, which is read from the feed."""
    shape: tuple[int, ...]
    """Of the sample, as it stands in the row."""
    extremes: tuple[Extreme, ...] = ()
    """"high" and "low": exact over all values ("low" is absent where `bound` is finite). "mean":
    not finite as soon as one value is not. None of them where the sample is all values."""
    strides: Strides = ()
    """Of an input, for each axis: the positions taken from the feed."""
    bound: float = -inf
    """No value lies below this, by the graph's operators."""

    @property
    def is_input(self) -> bool:
        """True for a tensor that is read from the feed."""
        return not self.output


@dataclass(frozen=True)
class Watch:
    """The model to run, and what its outputs mean."""

    model: Model
    points: tuple[Point, ...]


def watch_model(model: Model, watch: Mapping[str, int], pictures: int | None) -> Watch:
    """A model with small outputs for the tensors `watch` (name -> axis of its channels).

    The original outputs are left out, and so are the nodes that only they need. `pictures` is
    how many will come.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    outputs = list(proto.graph.output)
    del proto.graph.output[:]
    writer = _Writer(proto.graph, value_shapes(model), value_bounds(model), model.opset, pictures)
    inputs = {spec.name for spec in model.inputs}
    points = [
        writer.input_point(name, axis) if name in inputs else writer.point(name, axis)
        for name, axis in watch.items()
    ]
    writer.insert_nodes()
    if not proto.graph.output:  # only inputs are watched, but a model needs an output
        proto.graph.output.extend(outputs)
    _drop_unused(proto.graph)
    return Watch(Model.of(proto, model.name), tuple(points))


def positions_wanted(channels: int, pictures: int | None) -> int:
    """How many positions of each picture are counted of a tensor with so many channels."""
    run = max(UNKNOWN_PICTURES if pictures is None else pictures, LEAST_PICTURES)
    samples = max(CHANNEL_SAMPLES, TENSOR_SAMPLES // max(channels, 1))
    return max(ceil(samples / run), LEAST_POSITIONS)


def lattice_stride(height: int, width: int, wanted: int) -> int:
    """Odd stride whose lattice has the number of points nearest to `wanted`; 1: all positions.

    Odd, since upsampling leaves patterns of period 2, 4, 8 in a tensor: an even stride sees
    the same phase of them everywhere, it seems: ranges came out too large.
    """

    def miss(stride: int) -> float:
        return abs(log(ceil(height / stride) * ceil(width / stride) / wanted))

    return min(range(1, max(min(height, width), 1) + 1, 2), key=miss)


def long_strides(shape: tuple[int, ...], axis: int, wanted: int) -> Strides:
    """A stride for the longest axis that is not `axis`, so that about `wanted` positions stay."""
    strides = [1] * len(shape)
    others = [i for i in range(len(shape)) if i != axis]
    positions = prod(shape[i] for i in others)
    if others and positions > 2 * wanted:
        longest = max(others, key=lambda i: shape[i])
        strides[longest] = max(min(positions // wanted, shape[longest]) - 1, 1) | 1
    return tuple(strides)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and constants that no output needs: ONNX Runtime would run
    such nodes, and before all others."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    used = [tensor for tensor in graph.initializer if tensor.name in needed]
    constants = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)


class _Writer:
    """Adds outputs to a graph, and the nodes that make them."""

    def __init__(
        self,
        graph: onnx.GraphProto,
        shapes: Mapping[str, tuple[int, ...]],
        bounds: Mapping[str, tuple[float, float]],
        opset: int,
        pictures: int | None,
    ) -> None:
        self._graph = graph
        self._shapes = shapes
        self._bounds = bounds
        self._opset = opset
        self._pictures = pictures
        self._taken = names_in(graph)
        self._nodes: dict[str, list[onnx.NodeProto]] = {}

    def input_point(self, tensor: str, axis: int) -> Point:
        """Read from the feed, every axis but that of the channels by a stride."""
        shape = self._shape(tensor)
        wanted = positions_wanted(shape[axis], self._pictures)
        if len(shape) == 4 and axis == 1:
            stride = lattice_stride(shape[2], shape[3], wanted)
            strides: Strides = (1, 1, stride, stride)
        else:
            strides = long_strides(shape, axis, wanted)
        taken = tuple(
            len(range(step // 2, size, step)) for size, step in zip(shape, strides, strict=True)
        )
        return Point(tensor, axis, "", taken, ("high", "low"), strides)

    def point(self, tensor: str, axis: int) -> Point:
        """Computed by the graph."""
        shape = self._shape(tensor)
        wanted = positions_wanted(shape[axis], self._pictures)
        if len(shape) == 4 and axis == 1:
            stride = lattice_stride(shape[2], shape[3], wanted)
            if stride > 1:
                return self._pooled(tensor, shape, stride)
        else:
            strides = long_strides(shape, axis, wanted)
            if max(strides) > 1:
                return self._sliced(tensor, axis, shape, strides)
        return Point(tensor, axis, self._packed(tensor, [tensor]), shape, bound=self._bound(tensor))

    def insert_nodes(self) -> None:
        """Put what was added at the end, that of the earliest tensor last.

        ONNX Runtime runs the ends of a graph from the last one to the first, each with all that it
        needs. In another order the tensors would wait for their samples to be taken, and all of
        them be in memory at once. (A Flatten is such an end; behind a pooling operator it would
        put a reordering of its own, in no order.)
        """
        for node in reversed(list(self._graph.node)):
            for name in node.output:
                self._graph.node.extend(self._nodes.get(name, ()))

    def _pooled(self, tensor: str, shape: tuple[int, ...], stride: int) -> Point:
        strides = [stride, stride]
        parts = [
            self._add(tensor, "MaxPool", "values", kernel_shape=[1, 1], strides=strides),
            self._add(tensor, "GlobalMaxPool", "high"),
            self._add(tensor, "GlobalAveragePool", "mean"),
        ]
        extremes: tuple[Extreme, ...] = ("high", "mean")
        bound = self._bound(tensor)
        if bound == -inf:
            parts.append(self._reduce(tensor, "ReduceMin", "low", [2, 3]))
            extremes += ("low",)
        taken = (*shape[:2], ceil(shape[2] / stride), ceil(shape[3] / stride))
        output = self._packed(tensor, parts)
        return Point(tensor, 1, output, taken, extremes, bound=bound)

    def _sliced(self, tensor: str, axis: int, shape: tuple[int, ...], strides: Strides) -> Point:
        along = int(np.argmax(strides))
        step = strides[along]
        numbers = (("start", step // 2), ("end", shape[along]), ("axis", along), ("step", step))
        names = [self._constant(f"{tensor}_{label}", [number]) for label, number in numbers]
        others = [i for i in range(len(shape)) if i != axis]
        parts = [
            self._add(tensor, "Slice", "values", *names),
            self._reduce(tensor, "ReduceMax", "high", others),
            self._reduce(tensor, "ReduceMean", "mean", others),
        ]
        extremes: tuple[Extreme, ...] = ("high", "mean")
        bound = self._bound(tensor)
        if bound == -inf:
            parts.append(self._reduce(tensor, "ReduceMin", "low", others))
            extremes += ("low",)
        taken = list(shape)
        taken[along] = len(range(step // 2, shape[along], step))
        return Point(tensor, axis, self._packed(tensor, parts), tuple(taken), extremes, bound=bound)

    def _packed(self, tensor: str, parts: list[str]) -> str:
        """One output of shape (1, N) with all the parts."""
        rows = [self._add(part, "Flatten", "row", group=tensor, axis=0) for part in parts]
        output = rows[0]
        if len(rows) > 1:
            output = self._add(rows[0], "Concat", "rows", *rows[1:], group=tensor, axis=1)
        self._graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        return output

    def _shape(self, tensor: str) -> tuple[int, ...]:
        if tensor not in self._shapes:
            raise ModelError(
                f"the shape of the tensor {tensor!r} is not known, so that it cannot be calibrated",
                "give all inputs fixed sizes with --shape, or export the model with them",
            )
        return self._shapes[tensor]

    def _reduce(self, tensor: str, operator: str, label: str, axes: list[int]) -> str:
        # From operator set 18 on, the axes are an input.
        if self._opset >= 18:
            constant = self._constant(f"{tensor}_{label}_axes", axes)
            return self._add(tensor, operator, label, constant, keepdims=0)
        return self._add(tensor, operator, label, axes=axes, keepdims=0)

    def _add(
        self,
        source: str,
        operator: str,
        label: str,
        *inputs: str,
        group: str = "",
        **attributes: int | list[int],
    ) -> str:
        """A node that reads `source`; `group` is the tensor that it is for, if not `source`."""
        output = fresh(f"{source}_{label}", self._taken)
        name = fresh(f"{source}_watch_{label}", self._taken)
        node = helper.make_node(operator, [source, *inputs], [output], name=name, **attributes)
        self._nodes.setdefault(group or source, []).append(node)
        return output

    def _constant(self, name: str, values: list[int]) -> str:
        name = fresh(name, self._taken)
        array = np.array(values, np.int64)
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def _bound(self, tensor: str) -> float:
        return self._bounds.get(tensor, ANY)[0]
