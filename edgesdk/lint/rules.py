"""The ONNX parser's rules for quantized graphs, and some that it forgets.

Rules come from NVIDIA's guide to quantized types and from the verdicts of a real parser. It takes
an empty graph, an operator set it does not know, per-channel activations, scales computed at run
time and infinite scales without a word, so those are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import initializers

QUANTIZED_OPERATORS = ("QuantizeLinear", "DequantizeLinear")
INTEGER_OPERATORS = frozenset(
    {
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "ConvInteger",
        "MatMulInteger",
        "DynamicQuantizeLinear",
    }
)
OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}


@dataclass(frozen=True)
class Finding:
    """One thing that TensorRT would refuse or quietly do wrong."""

    rule: str
    node: str
    message: str
    """What was found and what is expected."""


Weights = Mapping[str, TensorProto]
Rule = Callable[[Model, Weights], Iterator[Finding]]


def check_for_tensorrt(model: Model, max_opset: int) -> tuple[Finding, ...]:
    """All findings; none means that the graph has TensorRT's documented form.

    `max_opset` is the newest operator set that the target's TensorRT takes.
    """
    weights = initializers(model)
    found = [*_graph(model, max_opset)]
    for rule in (_operators, _zero_points, _scales, _types, _granularity, _bias):
        found += rule(model, weights)
    return tuple(found)


def _graph(model: Model, max_opset: int) -> Iterator[Finding]:
    if not model.proto.graph.node:
        yield Finding("empty-graph", "", "the graph has no operators")
    if model.opset > max_opset:
        yield Finding(
            "opset", "", f"operator set {model.opset}; the target takes {max_opset} at most"
        )
    for spec in model.inputs:
        if not spec.is_static:
            yield Finding("dynamic-shape", "", f"the input {spec} has no fixed size or shape range")


def _operators(model: Model, weights: Weights) -> Iterator[Finding]:
    for node in model.proto.graph.node:
        if node.domain not in ("", "ai.onnx"):
            yield Finding(
                "custom-operator", node.name, f"{node.domain}.{node.op_type} is no ONNX operator"
            )
        if node.op_type in INTEGER_OPERATORS:
            message = f"{node.op_type} is not taken; Q/DQ pairs around the float operator are"
            yield Finding("integer-operator", node.name, message)


def _zero_points(model: Model, weights: Weights) -> Iterator[Finding]:
    for node in _pairs(model):
        if len(node.input) > 2 and node.input[2]:
            tensor = weights.get(node.input[2])
            if tensor is None:
                yield Finding("zero-point", node.name, "the zero point is computed at run time")
            elif numpy_helper.to_array(tensor).any():
                yield Finding("zero-point", node.name, "the zero point is not 0: symmetric only")


def _scales(model: Model, weights: Weights) -> Iterator[Finding]:
    for node in _pairs(model):
        tensor = weights.get(node.input[1])
        if tensor is None:
            yield Finding("scale", node.name, "the scale is computed at run time, not constant")
            continue
        values = numpy_helper.to_array(tensor).astype(np.float64)
        if not (np.isfinite(values).all() and (values > 0).all()):
            message = (
                f"the scale should be positive and finite, found {values.min():g}..{values.max():g}"
            )
            yield Finding("scale", node.name, message)


def _types(model: Model, weights: Weights) -> Iterator[Finding]:
    for node in _pairs(model):
        index = 0 if node.op_type == "DequantizeLinear" and node.input[0] in weights else 2
        name = node.input[index] if len(node.input) > index else ""
        kind = weights[name].data_type if name in weights else TensorProto.UINT8
        if kind != TensorProto.INT8:
            found = TensorProto.DataType.Name(kind).lower()
            yield Finding("type", node.name, f"the integer type should be int8, found {found}")


def _granularity(model: Model, weights: Weights) -> Iterator[Finding]:
    consumers = {name: node for node in model.proto.graph.node for name in node.input[:2]}
    for node in _pairs(model):
        if node.input[1] not in weights or numpy_helper.to_array(weights[node.input[1]]).size == 1:
            continue
        if node.input[0] not in weights:
            if node.op_type == "QuantizeLinear" or not _is_quantized_weight(model, weights, node):
                message = "an activation has one scale for each channel; the documented form is one"
                yield Finding("per-channel-activation", node.name, message)
            continue
        yield from _axis(node, consumers.get(node.output[0]), weights)


def _is_quantized_weight(model: Model, weights: Weights, node: onnx.NodeProto) -> bool:
    return any(q.output[0] == node.input[0] and q.input[0] in weights for q in _pairs(model))


def _axis(
    node: onnx.NodeProto, consumer: onnx.NodeProto | None, weights: Weights
) -> Iterator[Finding]:
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    dims = weights[node.input[0]].dims
    scales = numpy_helper.to_array(weights[node.input[1]]).size
    if not -len(dims) <= axis < len(dims) or dims[axis] != scales:
        yield Finding("axis", node.name, f"{scales} scales on axis {axis} of a weight {list(dims)}")
    elif consumer is not None and consumer.op_type in OUTPUT_AXIS:
        expected = OUTPUT_AXIS[consumer.op_type] % len(dims)
        if axis % len(dims) != expected:
            message = (
                f"scales lie on axis {axis}; output channels of {consumer.op_type} on {expected}"
            )
            yield Finding("axis", node.name, message)


def _bias(model: Model, weights: Weights) -> Iterator[Finding]:
    made = {node.output[0]: node for node in _pairs(model)}
    for node in model.proto.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") and len(node.input) > 2:
            pair = made.get(node.input[2])
            if pair is not None:
                yield Finding("bias", pair.name, "a bias is quantized; it should stay float")


def _pairs(model: Model) -> list[onnx.NodeProto]:
    return [n for n in model.proto.graph.node if n.op_type in QUANTIZED_OPERATORS]
