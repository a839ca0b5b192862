"""The rules for TensorRT, side by side with the verdict of a real TensorRT-family parser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import small_detector
from tests.tensorrt_parser import Parser

Change = Callable[[onnx.ModelProto], None]


def int8_proto() -> onnx.ModelProto:
    model = prepare(Model.of(small_detector()), 19, {})
    layers = find_layers(model, ("Conv",))
    ranges = {layer.activation: 4.0 for layer in layers}
    proto = onnx.ModelProto()
    proto.CopyFrom(write_qdq(model, ranges, layers).proto)
    return proto


def put(proto: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    tensor = next((t for t in proto.graph.initializer if t.name == name), None)
    (tensor or proto.graph.initializer.add()).CopyFrom(numpy_helper.from_array(value, name))


def node(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(n for n in proto.graph.node if n.name == name)


def zero_point(proto: onnx.ModelProto) -> None:
    put(proto, "r1_zero_point", np.array(3, np.int8))


def scale(value: float) -> Change:
    return lambda proto: put(proto, "r1_scale", np.array(value, np.float32))


def per_channel_activation(proto: onnx.ModelProto) -> None:
    put(proto, "r1_scale", np.full(8, 0.1, np.float32))
    put(proto, "r1_zero_point", np.zeros(8, np.int8))


def run_time_scale(proto: onnx.ModelProto) -> None:
    inputs = ["images_dequantized"]
    peak = helper.make_node("ReduceMax", inputs, ["r1_live"], "peak", keepdims=0)
    proto.graph.node.insert(3, peak)
    for name in ("r1_QuantizeLinear", "r1_DequantizeLinear"):
        node(proto, name).input[1] = "r1_live"


def wrong_axis(proto: onnx.ModelProto) -> None:
    node(proto, "w1_DequantizeLinear").attribute[0].i = 1


def unsigned(proto: onnx.ModelProto) -> None:
    put(proto, "r1_zero_point", np.array(0, np.uint8))


def int32_bias(proto: onnx.ModelProto) -> None:
    put(proto, "b1_int", np.zeros(8, np.int32))
    put(proto, "b1_scale", np.array(0.1, np.float32))
    pair = helper.make_node("DequantizeLinear", ["b1_int", "b1_scale"], ["b1_float"], "bias_pair")
    proto.graph.node.insert(0, pair)
    node(proto, "first").input[2] = "b1_float"


def integer_operator(proto: onnx.ModelProto) -> None:
    put(proto, "qw", np.ones((7, 8, 1, 1), np.int8))
    quantized = [
        "r2_quantized",
        "r2_scale",
        "r2_zero_point",
        "qw",
        *["r2_scale", "r2_zero_point"] * 2,
    ]
    head = node(proto, "head")
    head.op_type = "QLinearConv"
    head.input[:] = quantized
    head.output[:] = ["c3_int"]
    back = helper.make_node(
        "DequantizeLinear", ["c3_int", "r2_scale", "r2_zero_point"], ["c3"], "head_out"
    )
    proto.graph.node.insert(list(proto.graph.node).index(head) + 1, back)


def custom_operator(proto: onnx.ModelProto) -> None:
    foreign_domain(proto)
    node(proto, "relu1").op_type = "Gadget"


def foreign_domain(proto: onnx.ModelProto) -> None:
    node(proto, "relu1").domain = "my.company"
    proto.opset_import.append(helper.make_opsetid("my.company", 1))


def no_nodes(proto: onnx.ModelProto) -> None:
    del proto.graph.node[:], proto.graph.output[:]


def new_opset(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 99


def dynamic_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


# What the parser of TensorRT-RTX 1.7.1 says to the same graph: it takes some that it should not.
BAD: dict[str, tuple[Change, str, bool]] = {
    "zero point": (zero_point, "zero-point", False),
    "scale 0": (scale(0.0), "scale", False),
    "scale negative": (scale(-1.0), "scale", False),
    "scale NaN": (scale(np.nan), "scale", False),
    "scale infinite": (scale(np.inf), "scale", True),
    "per-channel activation": (per_channel_activation, "per-channel-activation", True),
    "scale at run time": (run_time_scale, "scale", True),
    "wrong axis": (wrong_axis, "axis", False),
    "uint8": (unsigned, "type", True),
    "int32 bias": (int32_bias, "bias", False),
    "QLinearConv": (integer_operator, "integer-operator", False),
    "custom operator": (custom_operator, "custom-operator", False),
    "known operator of another domain": (foreign_domain, "custom-operator", True),
    "no operators": (no_nodes, "empty-graph", True),
    "opset 99": (new_opset, "opset", True),
    "dynamic input": (dynamic_input, "dynamic-shape", True),
}


@pytest.mark.parametrize(("change", "rule", "parser_takes_it"), BAD.values(), ids=BAD.keys())
def test_a_graph_outside_the_documented_form_is_found(
    change: Change, rule: str, parser_takes_it: bool
) -> None:
    proto = int8_proto()
    assert check_for_tensorrt(Model.of(proto), 19) == ()
    change(proto)
    found = check_for_tensorrt(Model.of(proto), 19)
    assert rule in {finding.rule for finding in found}


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


@pytest.mark.parametrize(("change", "rule", "parser_takes_it"), BAD.values(), ids=BAD.keys())
def test_the_real_parser_says_what_the_table_says_it_does(
    parser: Parser, change: Change, rule: str, parser_takes_it: bool
) -> None:
    proto = int8_proto()
    change(proto)
    assert parser.takes(proto.SerializeToString()) == parser_takes_it


def test_what_we_write_is_built_by_the_real_builder(parser: Parser) -> None:
    model = prepare(Model.of(small_detector()), 19, {})
    assert parser.builds(int8_proto().SerializeToString())
    assert parser.builds(write_fp16(model).to_bytes())
    assert parser.builds(model.to_bytes())
