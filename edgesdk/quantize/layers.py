"""Which operators become INT8: those whose weights are constant, with what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import onnx

from edgesdk.model import Model
from edgesdk.model.edit import initializers, value_shapes

INT8_OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""What TensorRT has INT8 kernels for."""
OUTPUT_CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}
"""The axis of the weight that holds output channels: each gets a scale of its own."""


@dataclass(frozen=True)
class Layer:
    """An operator that can run in INT8: one activation and one constant weight."""

    node: str
    operator: str
    activation: str
    """Tensor that gets one scale."""
    weight: str
    """Constant that gets one scale for each output channel."""
    axis: int
    """Output channels of the weight."""
    input_axis: int
    """Channels of the activation, counted from its first axis."""
    groups: int
    """Of a grouped convolution; else 1."""
    macs: int
    """Multiply-accumulates for one run."""
    strides: tuple[int, ...] = ()
    """Of a convolution; empty: 1 in each direction."""


def find_layers(model: Model, operators: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of a prepared model, in graph order."""
    weights, shapes = initializers(model), value_shapes(model)
    nodes = [n for n in model.proto.graph.node if n.op_type in operators]
    found = (_layer(node, weights, shapes) for node in nodes)
    return tuple(layer for layer in found if layer is not None)


def _layer(
    node: onnx.NodeProto,
    weights: dict[str, onnx.TensorProto],
    shapes: dict[str, tuple[int, ...]],
) -> Layer | None:
    activation, weight = node.input[0], node.input[1]
    if weight not in weights or activation in weights or len(weights[weight].dims) < 2:
        return None
    if node.op_type in ("Gemm", "MatMul") and len(weights[weight].dims) != 2:
        return None
    if weights[weight].data_type != onnx.TensorProto.FLOAT or _is_transposed_gemm(node):
        return None
    axis = _axis(node, len(weights[weight].dims))
    macs = _macs(node, tuple(weights[weight].dims), shapes)
    matrix = node.op_type in ("Gemm", "MatMul")
    input_axis = len(shapes.get(activation, (0, 0))) - 1 if matrix else 1
    groups = next((int(a.i) for a in node.attribute if a.name == "group"), 1)
    strides = next((tuple(a.ints) for a in node.attribute if a.name == "strides"), ())
    return Layer(
        node.name, node.op_type, activation, weight, axis, input_axis, groups, macs, strides
    )


def _is_transposed_gemm(node: onnx.NodeProto) -> bool:
    return node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)


def _axis(node: onnx.NodeProto, rank: int) -> int:
    if node.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return 0 if transposed else 1
    return rank - 1 if node.op_type == "MatMul" else OUTPUT_CHANNEL_AXIS[node.op_type]


def _macs(node: onnx.NodeProto, weight: tuple[int, ...], shapes: dict[str, tuple[int, ...]]) -> int:
    """A weight is used once for each place of the output (of the input, when transposed)."""
    if node.op_type == "ConvTranspose":
        return prod(weight) * prod(shapes.get(node.input[0], (0, 0))[2:])
    output = shapes.get(node.output[0], ())
    if node.op_type == "Conv":
        return prod(weight) * prod(output[2:]) * prod(output[:1])
    return prod(output[:-1]) * prod(weight[-2:])
