"""INT8 graphs with a float16 rest: scales, pairs and islands."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model
from edgesdk.quantize.fp16 import representable_scale, write_fp16
from tests.fp16_nets import (
    HALF_DB,
    PICTURES,
    TOKENS,
    attention_net,
    check,
    detector,
    kinds,
    prepared,
    quantized,
    run,
    sqnr_db,
    stored,
    types,
)

make = helper.make_node
F = np.float32


def test_an_int8_graph_gets_float16_scales_and_keeps_its_weights() -> None:
    model = detector(19)
    int8 = quantized(model, PICTURES)
    half = write_fp16(int8)
    check(half)
    assert check_for_tensorrt(half, 19) == ()
    assert Counter(stored(half).values())["int8"] == Counter(stored(int8).values())["int8"]
    ints = [(n, v) for n, v in constants_of(int8).items() if v.dtype == np.int8]
    for name, values in ints:
        np.testing.assert_array_equal(constants_of(half)[name], values)
    types_of_scales = {stored(half)[n.input[1]] for n in pairs(half) if n.input[0] != "images"}
    assert types_of_scales == {"float16"}
    assert {stored(half)[n] for n in ("b1", "b3")} == {"float16"}
    assert kinds(half)["Cast"] == 1, "the picture is quantized from float32, without a cast"
    for x in PICTURES:
        assert sqnr_db(run(model, x)["output"], run(half, x)["output"]) > 25


def pairs(model: Model) -> list[onnx.NodeProto]:
    return [n for n in model.proto.graph.node if n.op_type.endswith("eLinear")]


def constants_of(model: Model) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in model.proto.graph.initializer}


def test_the_reference_computes_the_mixed_graph_as_we_do() -> None:
    half = write_fp16(quantized(detector(19), PICTURES), ["depthwise"])
    expected = ReferenceEvaluator(half.proto).run(["output"], {"images": PICTURES[0]})[0]
    assert sqnr_db(expected, run(half, PICTURES[0])["output"]) > 40


def test_an_island_in_an_int8_graph_keeps_its_pairs_and_has_no_cast_before_the_layer() -> None:
    half = write_fp16(quantized(detector(19), PICTURES), ["depthwise"])
    check(half)
    producers = {out: node for node in half.proto.graph.node for out in node.output}
    layer = next(n for n in half.proto.graph.node if n.name == "depthwise")
    assert [producers[name].op_type for name in layer.input[:2]] == ["DequantizeLinear"] * 2
    assert {types(half)[name] for name in layer.input[:2]} == {TensorProto.FLOAT}


def test_a_scale_that_float16_loses_keeps_its_layer_in_float32() -> None:
    int8 = quantized(detector(19), PICTURES)
    proto = onnx.ModelProto()
    proto.CopyFrom(int8.proto)
    scale = next(t for t in proto.graph.initializer if t.name == "w2_scale")
    values = numpy_helper.to_array(scale).copy()
    values[0] = 1e-7
    scale.CopyFrom(numpy_helper.from_array(values, scale.name))
    half = write_fp16(Model.of(proto))
    check(half)
    layer = {n.name: n for n in half.proto.graph.node}
    assert {types(half)[n] for n in layer["depthwise"].input[:2]} == {TensorProto.FLOAT}
    assert {types(half)[n] for n in layer["head"].input[:2]} == {TensorProto.FLOAT16}
    assert stored(half)["w2_scale"] == "float32"


def test_two_layers_of_one_tensor_may_read_it_in_two_types_without_a_cast() -> None:
    weight = np.random.default_rng(1).normal(size=(4, 3, 1, 1)).astype(F)
    nodes = [
        make("Conv", ["x", "w"], ["a"], "a"),
        make("Conv", ["x", "w"], ["b"], "b"),
        make("Sub", ["a", "b"], ["y"], "sub"),
    ]
    model = prepared(nodes, {"w": weight}, [1, 3, 32, 32], ["y"])
    half = write_fp16(quantized(model, PICTURES), ["b"])
    check(half)
    # One Q of the picture; DQ of picture and weight in each type; b down, the result up.
    expected = {"QuantizeLinear": 1, "DequantizeLinear": 4, "Conv": 2, "Sub": 1, "Cast": 2}
    assert kinds(half) == expected


def test_before_opset_19_layers_with_pairs_stay_float32_and_the_rest_is_float16() -> None:
    half = write_fp16(quantized(detector(17), PICTURES))
    check(half)
    assert check_for_tensorrt(half, 17) == ()
    known, nodes = types(half), {n.name: n for n in half.proto.graph.node}
    assert {known[nodes[n].input[0]] for n in ("first", "depthwise", "head")} == {TensorProto.FLOAT}
    assert known[nodes["relu1"].input[0]] == TensorProto.FLOAT16


@given(st.lists(st.floats(-22, 8), min_size=1, max_size=6))
def test_a_representable_scale_is_a_float16_number_just_above(exponents: list[float]) -> None:
    scale = np.exp2(np.array(exponents)).astype(F)
    found = representable_scale(scale)
    alive = (scale >= 2.0**-21) & (scale >= scale.max() * 2.0**-20)
    np.testing.assert_array_equal(found[alive].astype(np.float16).astype(F), found[alive])
    assert (found >= scale).all()
    normal = scale > 2.0**-14
    assert (found[normal] <= scale[normal] * (1 + 2.0**-10)).all()
    assert (found[alive] <= scale[alive] * 1.125).all()


def test_a_dead_channel_gets_a_scale_that_rounds_its_weights_to_zero() -> None:
    found = representable_scale(np.array([1e-2, 3e-32], F))
    assert found[1] == 2.0**-24
    alone = np.array([3e-32], F)
    np.testing.assert_array_equal(representable_scale(alone), alone)


def test_weights_that_a_graph_quantizes_itself_are_rounded_from_float32() -> None:
    scale, weight = np.full(4, 0.01, F), np.random.default_rng(4).normal(size=(4, 3, 1, 1))
    nodes = [
        make("QuantizeLinear", ["w", "scale", "zero"], ["q"], "q", axis=0),
        make("DequantizeLinear", ["q", "scale", "zero"], ["d"], "d", axis=0),
        make("Conv", ["x", "d"], ["y"], "conv"),
    ]
    constants = {"w": weight.astype(F), "scale": scale, "zero": np.zeros(4, np.int8)}
    half = write_fp16(prepared(nodes, constants, [1, 3, 32, 32], ["y"]))
    check(half)
    assert stored(half)["w"] == "float32"
    assert types(half)["d"] == TensorProto.FLOAT16


ALL_NODES = {
    "detector": [n.name for n in detector().proto.graph.node],
    "int8 detector": [n.name for n in quantized(detector(19), PICTURES).proto.graph.node],
    "attention": [n.name for n in attention_net(1e-5).proto.graph.node],
}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_nodes_may_be_kept(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(ALL_NODES)))
    keep = data.draw(st.sets(st.sampled_from(ALL_NODES[name])))
    model = attention_net(1e-5) if name == "attention" else detector(19)
    if name == "int8 detector":
        model = quantized(model, PICTURES)
    half = write_fp16(model, keep)
    check(half)
    known, nodes = types(half), {n.name: n for n in half.proto.graph.node}
    for kept in (nodes[n] for n in keep if n in nodes):
        seen = {known[t] for t in (*kept.input, *kept.output) if t in known}
        assert TensorProto.FLOAT16 not in seen
    casts = [(n.input[0], n.attribute[0].i) for n in half.proto.graph.node if n.op_type == "Cast"]
    assert len(casts) == len(set(casts)), "a tensor is cast once"
    assert not {n.output[0] for n in half.proto.graph.node if n.op_type == "Cast"} & {
        tensor for tensor, _ in casts
    }, "nothing is cast there and back"
    x = TOKENS if name == "attention" else PICTURES[0]
    exact, found = run(model, x), run(half, x)
    least = 25 if name == "int8 detector" else HALF_DB
    assert all(sqnr_db(exact[output], found[output]) > least for output in exact)
