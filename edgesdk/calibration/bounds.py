"""Between which values a tensor of a graph must lie, whatever the input: from its operators alone.

Only a lower bound matters to calibration: where it is 0, the least value needs no looking for.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import onnx
from onnx import numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import initializers

Interval = tuple[float, float]

ANY: Interval = (-inf, inf)
SILU_LEAST = -0.2785
"""Least value of x * sigmoid(x), at x = -1.2785, rounded down."""

FIXED: Mapping[str, Interval] = {
    "Relu": (0, inf),
    "Sigmoid": (0, 1),
    "HardSigmoid": (0, 1),
    "Softmax": (0, 1),
    "Softplus": (0, inf),
    "Exp": (0, inf),
    "Abs": (0, inf),
    "Sqrt": (0, inf),
    "Tanh": (-1, 1),
    "Softsign": (-1, 1),
    "HardSwish": (-0.375, inf),
    "Gelu": (-0.17004, inf),
    "Mish": (-0.30885, inf),
    "Swish": (SILU_LEAST, inf),
}
"""Ranges of the operators themselves (of Swish and HardSwish with their default parameters)."""

# fmt: off
PASSING = frozenset(
    (
        "MaxPool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMax", "ReduceMean", "ReduceMin",
        "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Slice",
        "Split", "Gather", "DepthToSpace", "SpaceToDepth", "Expand", "Tile",
    )
)
"""Operators whose outputs lie where their first input lies."""
COMBINING = frozenset(
    (
        "Clip", "Concat", "Max", "Min", "Add", "Sum", "Mul", "AveragePool", "Resize", "Upsample",
        "Pad",
    )
)
# fmt: on
"""Operators whose outputs' interval follows from those of their inputs."""


def value_bounds(model: Model) -> dict[str, Interval]:
    """Interval of each tensor that is bounded on one side at least; the graph must be sorted."""
    constants = initializers(model)
    producers = {o: node for node in model.proto.graph.node for o in node.output}
    found: dict[str, Interval] = {}
    for node in model.proto.graph.node:
        interval = _interval(node, found, constants, producers)
        if interval != ANY:
            found.update(dict.fromkeys(node.output, interval))
    return found


def _interval(
    node: onnx.NodeProto,
    found: Mapping[str, Interval],
    constants: Mapping[str, onnx.TensorProto],
    producers: Mapping[str, onnx.NodeProto],
) -> Interval:
    kind = node.op_type
    if kind not in COMBINING and kind not in PASSING:
        return _alone(node)
    inputs = [_of(name, found, constants) for name in node.input]
    if kind in PASSING:
        return inputs[0]
    if kind == "Clip":
        return _clip(node, inputs)
    if kind in ("Concat", "Max", "Min"):
        return min(i[0] for i in inputs), max(i[1] for i in inputs)
    if kind in ("Add", "Sum"):
        return sum(i[0] for i in inputs), sum(i[1] for i in inputs)
    if kind == "Mul":
        return _mul(node, inputs, producers)
    if kind == "AveragePool":  # padding may count as zeros
        return min(inputs[0][0], 0.0), max(inputs[0][1], 0.0)
    if kind in ("Resize", "Upsample") and _attribute(node, "mode", b"nearest") != b"cubic":
        # What lies outside of the picture may be filled with a value of the user's.
        return ANY if b"crop" in _attribute(node, "coordinate_transformation_mode") else inputs[0]
    if kind == "Pad" and _attribute(node, "mode", b"constant") == b"constant":
        value = inputs[2] if len(inputs) > 2 and node.input[2] else _value(node)
        return min(inputs[0][0], value[0]), max(inputs[0][1], value[1])
    return ANY


def _alone(node: onnx.NodeProto) -> Interval:
    """What the operator gives whatever it is given."""
    if node.op_type == "Elu":
        return -next((float(a.f) for a in node.attribute if a.name == "alpha"), 1.0), inf
    if node.op_type == "Swish" and node.attribute:
        return ANY
    return FIXED.get(node.op_type, ANY)


def _of(
    name: str, found: Mapping[str, Interval], constants: Mapping[str, onnx.TensorProto]
) -> Interval:
    if name in constants and constants[name].data_type == onnx.TensorProto.FLOAT:
        values = numpy_helper.to_array(constants[name])
        return (float(values.min()), float(values.max())) if values.size else ANY
    return found.get(name, ANY)


def _clip(node: onnx.NodeProto, inputs: list[Interval]) -> Interval:
    """Of the input's interval what the limits leave; old forms carry them as attributes."""
    limits = {a.name: float(a.f) for a in node.attribute}
    low = inputs[1][0] if len(inputs) > 1 and node.input[1] else limits.get("min", -inf)
    high = inputs[2][1] if len(inputs) > 2 and node.input[2] else limits.get("max", inf)
    return max(inputs[0][0], low), max(min(inputs[0][1], high), low)


def _mul(
    node: onnx.NodeProto, inputs: list[Interval], producers: Mapping[str, onnx.NodeProto]
) -> Interval:
    for one, other in ((0, 1), (1, 0)):
        gate = producers.get(node.input[other])
        if gate is not None and gate.input[0] == node.input[one]:
            if gate.op_type == "Sigmoid":
                return SILU_LEAST, inf
            if gate.op_type == "HardSigmoid" and _is_hard_swish(gate):
                return -0.375, inf
    ends = [_product(a, b) for a in inputs[0] for b in inputs[1]]
    return min(ends), max(ends)


def _value(node: onnx.NodeProto) -> Interval:
    value = next((float(a.f) for a in node.attribute if a.name == "value"), 0.0)
    return value, value


def _product(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _is_hard_swish(gate: onnx.NodeProto) -> bool:
    values = {a.name: a.f for a in gate.attribute}
    return bool(abs(values.get("alpha", 0.2) - 1 / 6) < 1e-4 and values.get("beta", 0.5) == 0.5)


def _attribute(node: onnx.NodeProto, name: str, default: bytes = b"") -> bytes:
    return next((bytes(a.s) for a in node.attribute if a.name == name), default)
