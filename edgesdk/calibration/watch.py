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
from dataclasses import dataclass, field
from math import ceil, inf, log, prod

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.calibration.bounds import ANY, value_bounds
from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in, value_shapes

TENSOR_SAMPLES = 1 << 19
"""About so many values of each tensor are counted in the whole run: 52 lie beyond its 99.99 %."""
CHANNEL_SAMPLES = 1024
"""And at least about so many of each of its channels."""
LEAST_PICTURES = 16
"""A run of fewer pictures takes no more of each than one of so many."""
LEAST_POSITIONS = 8
"""Taken of each picture, however many there are."""
UNKNOWN_PICTURES = 1024
"""Taken for the number of pictures when it is not known."""
FAR = 4
"""From this stride on, a pooling lattice leaves out its first points, which lie on the border."""

Strides = tuple[int, ...]


@dataclass(frozen=True)
class Point:
    """One watched tensor: where its values come from, one name for each output of the model."""

    tensor: str
    axis: int
    """Of the channels."""
    channels: int
    """0: not known before the first picture."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Role -> output of the watched model; of an input none, it is read from the feed.

    "values": the sample, or all values. Only of a sample: "high" and "low", the exact extremes by
    channel ("low" is absent where `bound` is finite), and "mean", by channel: not finite as soon as
    one value is not.
    """
    skip: int = 0
    """First points of each of the last two axes of the sample that are not taken."""
    is_input: bool = False
    strides: Strides = ()
    """Of an input, for each axis: the positions taken from the feed; empty: all."""
    bound: float = -inf
    """No value lies below this, by the graph's operators."""


@dataclass(frozen=True)
class Watch:
    """The model to run, and what its outputs mean."""

    model: Model
    points: tuple[Point, ...]


def watch_model(model: Model, watch: Mapping[str, int], pictures: int | None) -> Watch:
    """A model with small outputs for the tensors `watch` (name -> axis of its channels).

    The original outputs are left out, so that what only they need is not computed. `pictures` is
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
    return Watch(Model.of(proto, model.name), tuple(points))


def positions_wanted(channels: int, pictures: int | None) -> int:
    """How many positions of each picture are counted of a tensor with so many channels."""
    run = max(UNKNOWN_PICTURES if pictures is None else pictures, LEAST_PICTURES)
    samples = max(CHANNEL_SAMPLES, TENSOR_SAMPLES // max(channels, 1))
    return max(ceil(samples / run), LEAST_POSITIONS)


def lattice_stride(height: int, width: int, wanted: int) -> int:
    """Stride whose lattice has the number of points nearest to `wanted`; 1: all positions."""

    def miss(stride: int) -> float:
        return abs(log(_points(height, stride) * _points(width, stride) / wanted))

    return min(range(1, max(min(height, width), 1) + 1), key=miss)


def _points(size: int, stride: int) -> int:
    return max(ceil(size / stride) - _skipped(stride), 1)


def _skipped(stride: int) -> int:
    return 1 if stride >= FAR else 0


def long_strides(shape: tuple[int, ...], axis: int, wanted: int) -> Strides:
    """A stride for the longest axis that is not `axis`, so that about `wanted` positions stay."""
    strides = [1] * len(shape)
    others = [i for i in range(len(shape)) if i != axis]
    positions = prod(shape[i] for i in others)
    if others and positions > 2 * wanted:
        longest = max(others, key=lambda i: shape[i])
        strides[longest] = min(positions // wanted, shape[longest])
    return tuple(strides)


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
        shape = self._shapes.get(tensor)
        if shape is None:
            return Point(tensor, axis, 0, is_input=True)
        wanted = positions_wanted(shape[axis], self._pictures)
        if len(shape) == 4 and axis == 1:
            stride = lattice_stride(shape[2], shape[3], wanted)
            strides: Strides = (1, 1, stride, stride)
        else:
            strides = long_strides(shape, axis, wanted)
        return Point(tensor, axis, shape[axis], is_input=True, strides=strides)

    def point(self, tensor: str, axis: int) -> Point:
        """Computed by the graph."""
        shape = self._shapes.get(tensor)
        if shape is None:
            return self._all_values(tensor, axis, 0)
        channels = shape[axis]
        wanted = positions_wanted(channels, self._pictures)
        if len(shape) == 4 and axis == 1:
            stride = lattice_stride(shape[2], shape[3], wanted)
            if stride > 1:
                return self._pooled(tensor, channels, stride)
            return self._all_values(tensor, axis, channels)
        strides = long_strides(shape, axis, wanted)
        if max(strides) > 1:
            return self._sliced(tensor, axis, shape, strides)
        return self._all_values(tensor, axis, channels)

    def insert_nodes(self) -> None:
        """Put what was added at the end, that of the earliest tensor last.

        ONNX Runtime runs the branches of a graph from the last one to the first. In any other order
        the tensors wait for their samples to be taken, and all of them are in memory at once.
        """
        for node in reversed(list(self._graph.node)):
            for name in node.output:
                self._graph.node.extend(self._nodes.get(name, ()))

    def _all_values(self, tensor: str, axis: int, channels: int) -> Point:
        self._output(tensor)
        return Point(tensor, axis, channels, {"values": tensor}, bound=self._bound(tensor))

    def _pooled(self, tensor: str, channels: int, stride: int) -> Point:
        strides = [stride, stride]
        outputs = {
            "values": self._add(tensor, "MaxPool", "values", kernel_shape=[1, 1], strides=strides),
            "high": self._add(tensor, "GlobalMaxPool", "high"),
            "mean": self._add(tensor, "GlobalAveragePool", "mean"),
        }
        bound = self._bound(tensor)
        if bound == -inf:
            outputs["low"] = self._reduce(tensor, "ReduceMin", "low", [0, 2, 3])
        return Point(tensor, 1, channels, outputs, _skipped(stride), bound=bound)

    def _sliced(self, tensor: str, axis: int, shape: tuple[int, ...], strides: Strides) -> Point:
        along = int(np.argmax(strides))
        stride = strides[along]
        numbers = (("start", stride // 2), ("end", shape[along]), ("axis", along), ("step", stride))
        names = [self._constant(f"{tensor}_{label}", [number]) for label, number in numbers]
        others = [i for i in range(len(shape)) if i != axis]
        outputs = {
            "values": self._add(tensor, "Slice", "values", *names),
            "high": self._reduce(tensor, "ReduceMax", "high", others),
            "mean": self._reduce(tensor, "ReduceMean", "mean", others),
        }
        bound = self._bound(tensor)
        if bound == -inf:
            outputs["low"] = self._reduce(tensor, "ReduceMin", "low", others)
        return Point(tensor, axis, shape[axis], outputs, bound=bound)

    def _reduce(self, tensor: str, operator: str, label: str, axes: list[int]) -> str:
        # From operator set 18 on, the axes are an input.
        if self._opset >= 18:
            constant = self._constant(f"{tensor}_{label}_axes", axes)
            return self._add(tensor, operator, label, constant, keepdims=0)
        return self._add(tensor, operator, label, axes=axes, keepdims=0)

    def _add(
        self, tensor: str, operator: str, label: str, *inputs: str, **attributes: int | list[int]
    ) -> str:
        output = fresh(f"{tensor}_{label}", self._taken)
        name = fresh(f"{tensor}_watch_{label}", self._taken)
        node = helper.make_node(operator, [tensor, *inputs], [output], name=name, **attributes)
        self._nodes.setdefault(tensor, []).append(node)
        self._output(output)
        return output

    def _constant(self, name: str, values: list[int]) -> str:
        name = fresh(name, self._taken)
        array = np.array(values, np.int64)
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def _output(self, name: str) -> None:
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))

    def _bound(self, tensor: str) -> float:
        return self._bounds.get(tensor, ANY)[0]

