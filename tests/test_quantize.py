"""What quantization writes into a graph, and that it computes what it should."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from edgesdk.quantize.probe import layer_sqnr_db, probe_model
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.backends import load_backend
from edgesdk.calibration import (
    CalibrationTable,
    TensorRange,
    collect,
    find_observer,
    load_recipe,
    make_table,
)
from edgesdk.errors import ModelError
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import Layer, find_layers
from edgesdk.quantize.qdq import round_weight, weight_scales, write_qdq
from edgesdk.quantize.select import keep_in_float
from tests.onnx_graphs import make_model, small_detector

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(7)
PICTURES = [RNG.normal(size=(1, 3, 32, 32)).astype(np.float32) for _ in range(4)]


def run(model: Model, x: np.ndarray) -> dict[str, np.ndarray]:
    backend = load_backend("onnxruntime", exact=True)
    return backend.open(backend.compile(model)).run({"images": x})


def calibrated(model: Model) -> CalibrationTable:
    watch = {layer.activation: layer.input_axis for layer in find_layers(model, OPERATORS)}
    backend = load_backend("onnxruntime", exact=True)
    feeds = [(str(i), {"images": x}) for i, x in enumerate(PICTURES)]
    found = collect(model, watch, feeds, lambda m: backend.open(backend.compile(m)))
    counted = {name: tensor.whole() for name, tensor in found.tensors.items()}
    return make_table(counted, find_observer("minmax"), found.pictures)


def quantized(opset: int = 19) -> tuple[Model, Model]:
    model = prepare(Model.of(small_detector()), opset, {})
    layers = find_layers(model, OPERATORS)
    return model, write_qdq(model, calibrated(model), layers)


def sqnr_db(reference: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(np.square(reference).sum() / np.square(reference - other).sum())


def test_layers_are_found_with_their_costs() -> None:
    layers = find_layers(prepare(Model.of(small_detector()), 17, {}), OPERATORS)
    # By hand: 3x3x3 weights x 8 channels x 16x16 places; 9 x 8 x 256; 8 x 7 x 256.
    assert [(layer.node, layer.macs) for layer in layers] == [
        ("first", 216 * 256),
        ("depthwise", 72 * 256),
        ("head", 56 * 256),
    ]


@pytest.mark.parametrize("opset", [17, 19])
def test_every_layer_gets_the_form_that_tensorrt_documents(opset: int) -> None:
    _, model = quantized(opset)
    assert check_for_tensorrt(model, opset) == ()
    graph = model.proto.graph
    weights = {t.name: t for t in graph.initializer}
    producer = {out: node for node in graph.node for out in node.output}
    for conv in (node for node in graph.node if node.op_type == "Conv"):
        activation, weight = (producer[name] for name in conv.input[:2])
        assert producer[activation.input[0]].op_type == "QuantizeLinear"
        assert weights[activation.input[1]].dims == [], "one scale for an activation"
        assert weights[weight.input[0]].data_type == TensorProto.INT8, "weights are stored int8"
        assert (
            len(numpy_helper.to_array(weights[weight.input[1]])) == weights[weight.input[0]].dims[0]
        )
        if len(conv.input) > 2:
            assert weights[conv.input[2]].data_type == TensorProto.FLOAT, "the bias stays float"
    onnx.checker.check_model(model.proto, full_check=True)


def test_the_int8_graph_answers_nearly_as_the_float_one() -> None:
    model, int8 = quantized()
    for x in PICTURES:
        # 8 bits give about 6.02 x 8 dB for a full-range sine; 25 dB is far from chance.
        assert sqnr_db(run(model, x)["output"], run(int8, x)["output"]) > 25


def test_onnxruntime_and_the_reference_compute_the_int8_graph_alike() -> None:
    _, int8 = quantized()
    expected = ReferenceEvaluator(int8.proto).run(["output"], {"images": PICTURES[0]})[0]
    np.testing.assert_allclose(run(int8, PICTURES[0])["output"], expected, rtol=1e-4, atol=1e-4)


def test_a_tensor_read_by_two_layers_gets_one_pair() -> None:
    weight = RNG.normal(size=(4, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["a"], "a"),
        helper.make_node("Conv", ["images", "w"], ["b"], "b"),
        helper.make_node("Add", ["a", "b"], ["y"], "add"),
    ]
    model = prepare(
        Model.of(make_model(nodes, {"w": weight}, {"images": [1, 3, 32, 32]}, ["y"])), 17, {}
    )
    int8 = write_qdq(model, calibrated(model), find_layers(model, OPERATORS))
    kinds = [node.op_type for node in int8.proto.graph.node]
    assert (kinds.count("QuantizeLinear"), kinds.count("DequantizeLinear")) == (1, 2)


def test_the_float_model_is_left_as_it_was() -> None:
    model = prepare(Model.of(small_detector()), 17, {})
    before = model.to_bytes()
    layers = find_layers(model, OPERATORS)
    table = calibrated(model)
    write_qdq(model, table, layers)
    probe_model(model, table, layers)
    write_fp16(model)
    assert model.to_bytes() == before


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 1),
    st.floats(-30, 4),
    st.integers(0, 2**32),
)
def test_a_rounded_weight_is_off_by_half_a_step_at_most(
    rows: int, columns: int, axis: int, exponent: float, seed: int
) -> None:
    weight = np.random.default_rng(seed).normal(size=(rows, columns)) * 10**exponent
    weight = weight.astype(np.float32)
    scales = weight_scales(weight, axis)
    shape = (-1, 1) if axis == 0 else (1, -1)
    restored = round_weight(weight, scales, axis) * scales.reshape(shape)
    assert (scales > 0).all()
    assert (np.abs(weight - restored) <= scales.reshape(shape) * 0.5001).all()


def test_a_channel_of_zeros_stays_zero_with_a_usable_scale() -> None:
    weight = np.array([[0, 0], [1, -2]], np.float32)
    scales = weight_scales(weight, 0)
    assert (scales > 0).all()
    np.testing.assert_array_equal(round_weight(weight, scales, 0), [[0, 0], [64, -127]])


def test_the_probe_finds_the_layer_that_int8_ruins() -> None:
    model = prepare(Model.of(small_detector(wild=True)), 19, {})
    layers = find_layers(model, OPERATORS)
    table = calibrated(model)
    backend = load_backend("onnxruntime", exact=True)
    session = backend.open(backend.compile(probe_model(model, table, layers)))
    noise = layer_sqnr_db(session, model, layers, [{"images": x} for x in PICTURES])
    assert min(noise, key=noise.__getitem__) == "depthwise"

    # The same figure from the graph with only that layer in INT8, computed in numpy.
    only = write_qdq(model, table, [layer for layer in layers if layer.node == "depthwise"])
    exact = [run(with_outputs(model, ["c2"]), x)["c2"] for x in PICTURES]
    coarse = [run(with_outputs(only, ["c2"]), x)["c2"] for x in PICTURES]
    reference, other = np.concatenate(exact), np.concatenate(coarse)
    centered = reference - reference.mean(axis=(0, 2, 3), keepdims=True)
    expected = 10 * np.log10(np.square(centered).sum() / np.square(reference - other).sum())
    assert noise["depthwise"] == pytest.approx(expected, abs=0.01)


def layer(node: str, macs: int) -> Layer:
    return Layer(node, "Conv", "x", "w", 0, 1, 1, macs)


def test_only_bad_layers_stay_in_float_and_only_within_the_budget() -> None:
    recipe = load_recipe("balanced")  # below 15 dB, at most 5 % of the work
    layers = [layer("fine", 900), layer("bad", 40), layer("worse", 5), layer("huge", 55)]
    noise = {"fine": 30.0, "bad": 10.0, "worse": 3.0, "huge": 5.0}
    kept = keep_in_float(layers, noise, recipe)
    assert [item.node for item in kept] == ["worse", "bad"]


def test_a_layer_that_never_varies_has_nothing_to_lose() -> None:
    recipe = load_recipe("balanced")
    noise = {"dead": float("-inf"), "exact": float("inf")}
    assert keep_in_float([layer("dead", 1), layer("exact", 99)], noise, recipe) == ()


def test_an_fp16_graph_takes_and_gives_float32_and_computes_in_float16() -> None:
    model = prepare(Model.of(small_detector()), 17, {})
    half = write_fp16(model)
    onnx.checker.check_model(half.proto, full_check=True)
    assert [s.dtype for s in (*half.inputs, *half.outputs)] == ["float32", "float32"]
    kinds = {t.data_type for t in half.proto.graph.initializer}
    assert TensorProto.FLOAT not in kinds
    x = PICTURES[0]
    # FP16 keeps 11 bits, 66 dB; 50 dB leaves room for the sums.
    assert sqnr_db(run(model, x)["output"], run(half, x)["output"]) > 50


def test_resize_keeps_its_scales_in_float32() -> None:
    scales = np.array([1, 1, 2, 2], np.float32)
    nodes = [
        helper.make_node("Mul", ["images", "two"], ["m"], "mul"),
        helper.make_node("Resize", ["m", "", "scales"], ["y"], "resize", mode="nearest"),
    ]
    constants = {"scales": scales, "two": np.array(2, np.float32)}
    proto = make_model(nodes, constants, {"images": [1, 3, 4, 4]}, ["y"])
    half = write_fp16(prepare(Model.of(proto), 17, {}))
    onnx.checker.check_model(half.proto, full_check=True)
    x = np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4)
    np.testing.assert_array_equal(run(half, x)["y"], 2 * x.repeat(2, axis=2).repeat(2, axis=3))


def test_a_weight_beyond_float16_is_refused_by_name() -> None:
    nodes = [helper.make_node("Mul", ["images", "large"], ["y"], "mul")]
    constants = {"large": np.array([1e6, 1], np.float32).repeat(2)}
    proto = make_model(nodes, constants, {"images": [1, 3, 4, 4]}, ["y"])
    with pytest.raises(ModelError, match="'large' holds 1e"):
        write_fp16(prepare(Model.of(proto), 17, {}))


def test_a_range_of_zero_still_gives_a_scale_that_tensorrt_takes() -> None:
    model = prepare(Model.of(small_detector()), 19, {})
    layers = find_layers(model, OPERATORS)
    zero = {layer.activation: TensorRange(0.0, 0.0, 0.0, 1) for layer in layers}
    assert check_for_tensorrt(write_qdq(model, CalibrationTable("mse", 1, zero), layers), 19) == ()


def test_a_limit_that_means_none_is_no_obstacle_to_float16() -> None:
    largest = np.finfo(np.float32).max
    nodes = [helper.make_node("Clip", ["images", "low", "high"], ["y"], "clip")]
    constants = {"low": np.array(0, np.float32), "high": np.array(largest, np.float32)}
    half = write_fp16(
        prepare(Model.of(make_model(nodes, constants, {"images": [1, 3, 4, 4]}, ["y"])), 17, {})
    )
    x = np.linspace(-2, 2, 48, dtype=np.float32).reshape(1, 3, 4, 4)
    np.testing.assert_allclose(run(half, x)["y"], np.maximum(x, 0), atol=1e-3)


def test_a_model_may_already_use_the_names_that_we_would_give() -> None:
    nodes = [
        helper.make_node("Relu", ["images"], ["images_scale"], "images_QuantizeLinear"),
        helper.make_node("Conv", ["images", "w"], ["y1"], "one"),
        helper.make_node("Conv", ["images_scale", "w"], ["images_quantized"], "two"),
    ]
    constants = {"w": RNG.normal(size=(4, 3, 1, 1)).astype(np.float32)}
    proto = make_model(nodes, constants, {"images": [1, 3, 32, 32]}, ["y1", "images_quantized"])
    model = prepare(Model.of(proto), 19, {})
    int8 = write_qdq(model, calibrated(model), find_layers(model, OPERATORS))
    onnx.checker.check_model(int8.proto, full_check=True)
    exact, found = run(model, PICTURES[0]), run(int8, PICTURES[0])
    assert sqnr_db(exact["images_quantized"], found["images_quantized"]) > 30
