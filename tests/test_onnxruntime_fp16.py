"""INT8 graphs with a float16 rest in ONNX Runtime on the CPU: the answers are the graph's."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.backends import load_backend, opened
from edgesdk.model import Model
from edgesdk.quantize.fp16 import write_fp16
from tests.fp16_nets import PICTURES, detector, quantized, sqnr_db

make = helper.make_node


def pair_in_float16() -> Model:
    """x in float16, through one Q/DQ pair of scale 1."""
    graph = helper.make_graph(
        [
            make("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
            make("QuantizeLinear", ["half", "scale", "zero"], ["q"]),
            make("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
            make("Cast", ["d"], ["y"], to=TensorProto.FLOAT),
        ],
        "pair",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [6])],
        [
            numpy_helper.from_array(np.array(1, np.float16), "scale"),
            numpy_helper.from_array(np.array(0, np.int8), "zero"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return Model.of(onnx.shape_inference.infer_shapes(proto))


def layer_of_small_scales() -> Model:
    """A 1x1 Conv with 2^-10 for the input's scale and 2^-12 for the weight's, bias 1."""
    graph = helper.make_graph(
        [
            make("QuantizeLinear", ["x", "one", "zero"], ["xq"]),
            make("DequantizeLinear", ["xq", "sx", "zero"], ["xd"]),
            make("DequantizeLinear", ["w", "sw", "zeros"], ["wd"], axis=0),
            make("Conv", ["xd", "wd", "bias"], ["c"]),
            make("QuantizeLinear", ["c", "sy", "zero"], ["yq"]),
            make("DequantizeLinear", ["yq", "sy", "zero"], ["d"]),
            make("Cast", ["d"], ["y"], to=TensorProto.FLOAT),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1])],
        [
            numpy_helper.from_array(np.array(1, np.float32), "one"),
            numpy_helper.from_array(np.array(0, np.int8), "zero"),
            numpy_helper.from_array(np.array(2.0**-10, np.float16), "sx"),
            numpy_helper.from_array(np.array([100], np.int8).reshape(1, 1, 1, 1), "w"),
            numpy_helper.from_array(np.array([2.0**-12], np.float16), "sw"),
            numpy_helper.from_array(np.zeros(1, np.int8), "zeros"),
            numpy_helper.from_array(np.ones(1, np.float16), "bias"),
            numpy_helper.from_array(np.array(2.0**-5, np.float16), "sy"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return Model.of(onnx.shape_inference.infer_shapes(proto))


def half_detector() -> Model:
    return write_fp16(quantized(detector(19), PICTURES))


def given_to_runtime(model: Model) -> onnx.ModelProto:
    return onnx.load_from_string(load_backend("onnxruntime").compile(model).data)


@pytest.mark.parametrize("exact", [True, False])
def test_float16_is_rounded_to_the_nearest_integer(exact: bool) -> None:
    x = np.array([0.6, 1.6, -0.6, -1.6, 2.4, 200], np.float32)
    with opened(load_backend("onnxruntime", exact=exact), pair_in_float16()) as session:
        found = session.run({"x": x})["y"]
    np.testing.assert_array_equal(found, [1, 2, -1, -2, 2, 127])


def test_onnxruntime_is_given_no_float16_to_quantize() -> None:
    """1.23 cuts off where it should round, and every version is slow there."""
    graph = given_to_runtime(half_detector()).graph
    scales = {t.name: t.data_type for t in graph.initializer}
    kinds = {scales[n.input[1]] for n in graph.node if n.op_type == "QuantizeLinear"}
    assert kinds == {TensorProto.FLOAT}


def test_the_session_states_the_inputs_and_outputs_of_the_bundle() -> None:
    model = half_detector()
    with opened(load_backend("onnxruntime"), model) as session:
        assert session.inputs == model.inputs
        assert session.outputs == model.outputs


@pytest.mark.parametrize("exact", [True, False])
def test_a_bias_beside_small_scales_is_kept(exact: bool) -> None:
    """1.23 and 1.32 quantize a bias with the product of both scales, in float16 if they are."""
    with opened(load_backend("onnxruntime", exact=exact), layer_of_small_scales()) as session:
        found = session.run({"x": np.zeros((1, 1, 1, 1), np.float32)})["y"]
    assert found.item() == 1.0


@pytest.mark.parametrize("exact", [True, False])
def test_the_answers_are_those_of_the_reference(exact: bool) -> None:
    model = half_detector()
    with opened(load_backend("onnxruntime", threads=1, exact=exact), model) as session:
        for picture in PICTURES:
            expected = ReferenceEvaluator(model.proto).run(["output"], {"images": picture})[0]
            found = session.run({"images": picture})["output"]
            assert sqnr_db(expected, found) > 40


def test_a_graph_of_float16_alone_is_given_as_it_is() -> None:
    """ONNX Runtime computes it in float32 without roundings, and is fast."""
    model = write_fp16(detector(19))
    assert given_to_runtime(model) == model.proto
