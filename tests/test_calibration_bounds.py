"""Bounds from the operators alone: no value may ever lie outside."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from onnx import helper

from edgesdk.backends import load_backend
from edgesdk.calibration.bounds import value_bounds
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from tests.onnx_graphs import make_model


def node(operator: str, inputs: str, output: str, **attributes: object) -> object:
    return helper.make_node(operator, inputs.split(), [output], name=output, **attributes)


CONSTANTS = {
    "zero": np.float32(0),
    "six": np.float32(6),
    "minus": np.float32(-2),
    "two": np.full((1, 4, 1, 1), 2, np.float32),
    "mixed": np.array([-1, 1, 2, 3], np.float32).reshape(1, 4, 1, 1),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "flat": np.array([1, -1]),
    "sizes": np.array([1, 1, 2, 2], np.float32),
    "none": np.zeros(0, np.float32),
}

NODES = [
    node("Relu", "x", "relu"),
    node("Clip", "x zero six", "relu6"),
    node("Clip", "x minus", "clipped"),
    node("Sigmoid", "x", "gate"),
    node("Mul", "x gate", "silu"),
    node("HardSigmoid", "x", "hard", alpha=1 / 6, beta=0.5),
    node("Mul", "hard x", "hardswish"),
    node("HardSwish", "x", "swish"),
    node("Elu", "x", "elu", alpha=2.0),
    node("Tanh", "x", "tanh"),
    node("Softmax", "x", "softmax"),
    node("LeakyRelu", "x", "leaky"),
    node("Neg", "relu", "negative"),
    node("Concat", "relu silu", "joined", axis=1),
    node("Add", "relu silu", "added"),
    node("Mul", "relu gate", "gated"),
    node("Mul", "silu gate", "weighed"),
    node("Mul", "relu two", "doubled"),
    node("Mul", "relu mixed", "scaled"),
    node("MaxPool", "silu", "pooled", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    node("AveragePool", "relu6", "averaged", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    node("GlobalAveragePool", "relu", "global"),
    node("Pad", "silu pads", "padded"),
    node("Pad", "relu pads minus", "padded_low"),
    node("Reshape", "relu6 flat", "reshaped"),
    node("Transpose", "silu", "turned", perm=[0, 2, 3, 1]),
    node("Resize", "relu none sizes", "bigger", mode="nearest"),
    node("Resize", "relu none sizes", "smooth", mode="linear"),
    node("Resize", "relu none sizes", "cubic", mode="cubic"),
]
NAMES = [n.output[0] for n in NODES]
MODEL = prepare(Model.of(make_model(NODES, CONSTANTS, {"x": [1, 4, 12, 12]}, NAMES)), 17, {})
BOUNDS = value_bounds(MODEL)


@pytest.mark.parametrize("size", [1.0, 30.0])
def test_no_value_lies_outside(size: float) -> None:
    backend = load_backend("onnxruntime", threads=1)
    session = backend.open(backend.compile(with_outputs(MODEL, NAMES)))
    x = np.random.default_rng(0).normal(0, size, (1, 4, 12, 12)).astype(np.float32)
    for name, values in session.run({"x": x}).items():
        low, high = BOUNDS.get(name, (-inf, inf))
        # ONNX Runtime's Tanh passes 1 by a rounding error.
        assert values.min() >= low - 1e-6, name
        assert values.max() <= high + 1e-6, name


@pytest.mark.parametrize(
    ("name", "low"),
    [
        ("relu", 0),
        ("relu6", 0),
        ("clipped", -2),
        ("silu", -0.2785),
        ("hardswish", -0.375),
        ("swish", -0.375),
        ("elu", -2),
        ("joined", -0.2785),
        ("added", -0.2785),
        ("gated", 0),
        ("weighed", -0.2785),
        ("doubled", 0),
        ("pooled", -0.2785),
        ("averaged", 0),
        ("global", 0),
        ("padded", -0.2785),
        ("padded_low", -2),
        ("reshaped", 0),
        ("turned", -0.2785),
        ("bigger", 0),
        ("smooth", 0),
    ],
)
def test_what_is_bounded_is_known_to_be(name: str, low: float) -> None:
    assert BOUNDS[name][0] == low


@pytest.mark.parametrize("name", ["leaky", "negative", "scaled", "cubic"])
def test_what_is_not_bounded_is_not_thought_to_be(name: str) -> None:
    assert BOUNDS.get(name, (-inf, inf))[0] == -inf
