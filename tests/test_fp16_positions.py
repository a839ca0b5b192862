"""Positions in pixels, computed inside the graph, do not lose half a pixel to FP16."""

from __future__ import annotations

import numpy as np
from onnx import helper

from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import positions
from tests.onnx_graphs import make_model

RNG = np.random.default_rng(3)
NODES = [
    helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
    helper.make_node("Relu", ["c"], ["r"], "relu"),
    helper.make_node("Conv", ["r", "v"], ["h"], "head"),
    helper.make_node("Sigmoid", ["h"], ["s"], "sigmoid"),
    helper.make_node("Mul", ["s", "stride"], ["y"], "scale"),
]
WEIGHTS = {
    "w": RNG.normal(size=(4, 3, 1, 1)).astype(np.float32),
    "v": RNG.normal(size=(4, 4, 1, 1)).astype(np.float32),
    "stride": np.array(640, np.float32),
}
MODEL = prepare(Model.of(make_model(NODES, WEIGHTS, {"x": [1, 3, 4, 4]}, ["y"])), 19, {})
LAYERS = ("conv", "head")


def test_what_lies_behind_the_last_layer_stays_float32_where_it_holds_positions() -> None:
    found = positions(MODEL, LAYERS, {"c": 900.0, "h": 9.0, "y": 640.0})
    assert set(found) == {"sigmoid", "scale"}
    # Between 512 and 1024 a float16 has steps of half a unit.
    assert "'y' reaches 640, where FP16 has steps of 0.5" in found["scale"]


def test_large_values_between_layers_are_no_positions() -> None:
    assert positions(MODEL, LAYERS, {"c": 900.0, "r": 900.0, "y": 1.0}) == {}


def test_logits_and_scores_may_be_float16() -> None:
    assert positions(MODEL, LAYERS, {"h": 40.0, "s": 1.0}) == {}
