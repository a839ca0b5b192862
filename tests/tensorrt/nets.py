"""Small graphs in each precision, and what a double of TensorRT was asked when it built one."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from edgesdk.backends.tensorrt.building.builder import BuildOrder, BuiltEngine, build_engine
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import make_model, small_detector
from tests.tensorrt_double import make_tensorrt
from tests.tensorrt_double.plan import Plan, read_plan

EIGHT, TEN, ELEVEN = ("8.5.2", "8.6.1"), ("10.3.0", "10.13.3", "10.16.1"), ("11.0.0", "11.4.0")
GIB = 1024**3
PLAIN = EngineSettings()
EMPTY = BuildOrder()


def float_net(opset: int = 17) -> Model:
    return prepare(Model.of(small_detector()), opset, {})


def half_net() -> Model:
    return write_fp16(float_net())


def island_net() -> Model:
    return write_fp16(float_net(), {"depthwise": "it overflows"})


def int8_net() -> Model:
    model = float_net()
    layers = find_layers(model, ("Conv",))
    return write_qdq(model, {layer.activation: 4.0 for layer in layers}, layers)


def varying_net() -> Model:
    weight = np.ones((4, 3, 3, 3), np.float32)
    nodes = [helper.make_node("Conv", ["images", "w"], ["out"], "conv")]
    inputs = {"images": ["batch", 3, 32, 32]}
    return Model.of(make_model(nodes, {"w": weight}, inputs, ["out"]))


def build(
    trt: Any, model: Model, settings: EngineSettings = PLAIN, order: BuildOrder = EMPTY
) -> BuiltEngine:
    return build_engine(trt, model, settings, order)


def asked(
    version: str, model: Model, settings: EngineSettings = PLAIN, order: BuildOrder = EMPTY
) -> Plan:
    return read_plan(build(make_tensorrt(version), model, settings, order).data)
