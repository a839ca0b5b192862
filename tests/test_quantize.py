"""What quantization writes into a graph, and that it computes what it should."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.backends import load_backend
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.int8 import round_weight, weight_scales
from edgesdk.quantize.layers import find_layers
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import make_model, small_detector

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(7)
PICTURES = [RNG.normal(size=(1, 3, 32, 32)).astype(np.float32) for _ in range(4)]


def run(model: Model, x: np.ndarray) -> dict[str, np.ndarray]:
    backend = load_backend("onnxruntime", exact=True)
    return backend.open(backend.compile(model)).run({"images": x})


def calibrated(model: Model) -> dict[str, float]:
    """Largest magnitude by tensor, over all pictures."""
    backend = load_backend("onnxruntime", exact=True)
    watch = {layer.activation for layer in find_layers(model, OPERATORS)}
    session = backend.open(backend.compile(with_outputs(model, watch)))
    seen = [{"images": x, **session.run({"images": x})} for x in PICTURES]
    return {name: max(float(np.abs(one[name]).max()) for one in seen) for name in watch}


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


def test_a_range_of_zero_still_gives_a_scale_that_tensorrt_takes() -> None:
    model = prepare(Model.of(small_detector()), 19, {})
    layers = find_layers(model, OPERATORS)
    zero = {layer.activation: 0.0 for layer in layers}
    assert check_for_tensorrt(write_qdq(model, zero, layers), 19) == ()


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
