"""FP16 graphs: types, casts and constants, and that they answer as the float32 net does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from edgesdk.backends import load_backend, opened
from edgesdk.errors import ModelError, UnknownName
from edgesdk.model import Model
from edgesdk.quantize.fp16 import simulate_fp16, write_fp16
from tests.fp16_nets import (
    HALF_DB,
    PICTURES,
    TOKENS,
    attention_net,
    check,
    detector,
    kinds,
    prepared,
    run,
    sqnr_db,
    stored,
    types,
)
from tests.onnx_graphs import make_model

make = helper.make_node


def test_an_fp16_graph_takes_and_gives_float32_and_computes_in_float16() -> None:
    model = detector(17)
    half = write_fp16(model)
    check(half)
    assert [s.dtype for s in (*half.inputs, *half.outputs)] == ["float32", "float32"]
    assert set(stored(half).values()) == {"float16", "int64"}
    assert kinds(half)["Cast"] == 2
    x = PICTURES[0]
    assert sqnr_db(run(model, x)["output"], run(half, x)["output"]) > HALF_DB


def test_attention_and_layer_norms_answer_nearly_as_in_float32() -> None:
    x = TOKENS
    for epsilon in (1e-5, 1e-12):
        model = attention_net(epsilon)
        half = write_fp16(model)
        check(half)
        found = run(half, x)["y"]
        assert np.isfinite(found).all()
        assert sqnr_db(run(model, x)["y"], found) > HALF_DB
    assert stored(half)["mask"] == "float16"


def test_kept_nodes_form_one_island_without_casts_inside() -> None:
    half = write_fp16(detector(), ["depthwise", "relu2"])
    check(half)
    order = [node.op_type for node in half.proto.graph.node]
    # The picture; first, relu1; up; depthwise, relu2; down; head, reshape, transpose; up.
    layers = ["Cast", "Conv", "Relu"]
    assert order == [*layers, *layers, "Cast", "Conv", "Reshape", "Transpose", "Cast"]
    assert (stored(half)["w2"], stored(half)["w3"]) == ("float32", "float16")


def test_a_tensor_is_cast_once_however_many_read_it() -> None:
    nodes = [
        make("Relu", ["x"], ["r"], "r"),
        *(make("Sigmoid", ["r"], [f"s{i}"], f"s{i}") for i in range(3)),
        make("Sum", ["s0", "s1", "s2"], ["y"], "y"),
    ]
    half = write_fp16(prepared(nodes, {}, [1, 4], ["y"]), ["s0", "s1"])
    check(half)
    casts = [n.input[0] for n in half.proto.graph.node if n.op_type == "Cast"]
    assert sorted(casts) == ["r", "s0", "s1", "x", "y_fp16"]


def test_a_constant_is_stored_in_the_types_that_read_it_and_never_cast() -> None:
    nodes = [
        make("Mul", ["x", "both"], ["a"], "narrow"),
        make("Mul", ["a", "both"], ["b"], "wide"),
        make("Add", ["b", "one"], ["y"], "wide2"),
    ]
    constants = {"both": np.array([3], np.float32), "one": np.array([0.1], np.float32)}
    half = write_fp16(prepared(nodes, constants, [1, 4], ["y"]), ["wide", "wide2"])
    check(half)
    assert stored(half) == {"both": "float16", "both_fp32": "float32", "one": "float32"}
    assert kinds(half)["Cast"] == 2


def test_a_node_to_keep_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownName, match="no node named 'depthwize'") as found:
        write_fp16(detector(), ["depthwize"])
    assert "depthwise" in found.value.hint


def test_control_flow_is_refused() -> None:
    branch = helper.make_graph(
        [make("Identity", ["x"], ["z"], "same")],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4])],
    )
    nodes = [make("If", ["which"], ["y"], "either", then_branch=branch, else_branch=branch)]
    model = make_model(nodes, {"which": np.array(True)}, {"x": [1, 4]}, ["y"])
    with pytest.raises(ModelError, match="If 'either' holds a graph of its own"):
        write_fp16(Model.of(model))


def test_a_constant_beyond_float16_keeps_its_node_in_float32() -> None:
    nodes = [
        make("Mul", ["x", "large"], ["a"], "up"),
        make("Div", ["a", "large"], ["y"], "down"),
    ]
    model = prepared(nodes, {"large": np.array([1e6, 2e6], np.float32)}, [1, 2], ["y"])
    half = write_fp16(model)
    assert kinds(half) == {"Mul": 1, "Div": 1}
    np.testing.assert_allclose(run(half, np.float32([[3, 4]]))["y"], [[3, 4]], rtol=1e-6)


def test_minus_infinity_of_a_mask_becomes_a_number_that_scores_can_be_added_to() -> None:
    nodes = [
        make("Add", ["x", "mask"], ["masked"], "add"),
        make("Softmax", ["masked"], ["y"], "softmax", axis=-1),
    ]
    mask = np.array([[0, -1e9, -np.inf], [-1e9, -1e9, -1e9]], np.float32)
    half = write_fp16(prepared(nodes, {"mask": mask}, [2, 3], ["y"]))
    assert "float32" not in stored(half).values()
    found = run(half, np.float32([[1, 2, 3], [-100, -100, -100]]))["y"]
    # Where all is masked, float32 gives equal shares; infinity would give NaN.
    np.testing.assert_allclose(found, [[1, 0, 0], [1 / 3] * 3], atol=1e-3)


F = np.float32
THREE = helper.make_tensor("value", TensorProto.FLOAT, [1], [3])
ONE_BY_FOUR = [1, 1, 4, 4]
HARD = {
    "clip without upper limit": (
        [make("Clip", ["x", "low", "high"], ["y"], "n")],
        {"low": F(0), "high": np.array(np.finfo(F).max)},
    ),
    "clip without lower limit": ([make("Clip", ["x", "", "high"], ["y"], "n")], {"high": F(1)}),
    "clip just above 0, then divide": (
        [
            make("Abs", ["x"], ["a"], "a"),
            make("Clip", ["a", "low"], ["c"], "c"),
            make("Div", ["x", "c"], ["y"], "d"),
        ],
        {"low": F(1e-12)},
    ),
    "pad with the least float": (
        [
            make("Pad", ["x", "pads", "least"], ["p"], "pad"),
            make("MaxPool", ["p"], ["y"], "pool", kernel_shape=[3, 3]),
        ],
        {
            "pads": np.array([0, 0, 1, 1] * 2, np.int64),
            "least": np.array(np.finfo(F).min),
        },
    ),
    "slopes of PRelu": (
        [make("PRelu", ["x", "slope"], ["y"], "n")],
        {"slope": np.full((1, 1, 1), 0.25, F)},
    ),
    "batch norm with a small variance": (
        [make("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], "n")],
        {"s": np.ones(1, F), "b": np.ones(1, F), "m": np.zeros(1, F), "v": np.full(1, 1e-9, F)},
    ),
    "batch norm with an epsilon below float16": (
        [make("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], "n", epsilon=1e-9)],
        {"s": np.ones(1, F), "b": np.ones(1, F), "m": np.zeros(1, F), "v": np.zeros(1, F)},
    ),
    "factors below float16": (
        [make("Mul", ["x", "s"], ["a"], "a"), make("Mul", ["a", "l"], ["y"], "b")],
        {"s": np.full((1,), 1e-7, F), "l": np.full((1,), 1e7, F)},
    ),
    "resize by scales": (
        [make("Resize", ["x", "", "scales"], ["y"], "n", mode="nearest")],
        {"scales": np.array([1, 1, 2, 2], F)},
    ),
    "resize by scales that are data too": (
        [
            make("Add", ["x", "scales"], ["a"], "a"),
            make("Resize", ["a", "", "scales"], ["y"], "n", mode="nearest"),
        ],
        {"scales": np.array([1, 1, 2, 2], F)},
    ),
    "double inside": (
        [
            make("Cast", ["x"], ["d"], "up", to=TensorProto.DOUBLE),
            make("Exp", ["d"], ["e"], "exp"),
            make("Cast", ["e"], ["y"], "down", to=TensorProto.FLOAT),
        ],
        {},
    ),
    "cast like": (
        [
            make("Cast", ["x"], ["i"], "up", to=TensorProto.INT64),
            make("CastLike", ["i", "one"], ["y"], "like"),
        ],
        {"one": F(1)},
    ),
    "made of constants": (
        [
            make(
                "ConstantOfShape", ["shape"], ["c"], "c", value=helper.make_tensor("v", 1, [1], [3])
            ),
            make("EyeLike", ["c"], ["i"], "i", dtype=TensorProto.FLOAT),
            make("Range", ["start", "stop", "step"], ["r"], "r"),
            make("Mul", ["i", "r"], ["m"], "m"),
            make("Add", ["x", "m"], ["y"], "y"),
        ],
        {
            "shape": np.array([4, 4], np.int64),
            "start": F(0),
            "stop": F(4),
            "step": F(1),
        },
    ),
    "sums over places": (
        [make("CumSum", ["x", "axis"], ["c"], "c"), make("ReduceSum", ["c"], ["y"], "r")],
        {"axis": np.array(3, np.int64)},
    ),
    "indices beyond the integers of float16": (
        [
            make("Cast", ["x"], ["i"], "truncate", to=TensorProto.INT64),
            make("Add", ["i", "far"], ["k"], "offset"),
            make("Cast", ["k"], ["f"], "up", to=TensorProto.FLOAT),
            make("Sub", ["f", "near"], ["y"], "back"),
        ],
        {"far": np.array(100_001, np.int64), "near": F(100_000)},
    ),
    "grids": (
        [
            make("Shape", ["x"], ["s"], "shape"),
            make("Cast", ["s"], ["f"], "cast", to=TensorProto.FLOAT),
            make("Mul", ["f", "f"], ["g"], "square"),
            make("Div", ["x", "g"], ["y"], "divide"),
        ],
        {},
    ),
}


@pytest.mark.parametrize(("nodes", "constants"), HARD.values(), ids=HARD.keys())
def test_operators_with_wants_of_their_own_answer_as_in_float32(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]
) -> None:
    model = prepared(nodes, {k: np.asarray(v) for k, v in constants.items()}, ONE_BY_FOUR, ["y"])
    half = write_fp16(model)
    check(half)
    x = np.linspace(-3, 3, 16, dtype=F).reshape(ONE_BY_FOUR)
    expected = ReferenceEvaluator(model.proto).run(["y"], {"x": x})[0]
    for found in (run(half, x)["y"], plainly(half, x)):
        assert np.isfinite(found).all()
        assert sqnr_db(expected, found) > HALF_DB


def plainly(model: Model, x: np.ndarray) -> np.ndarray:
    """The FP16 file itself in ONNX Runtime, which is what a user runs without a GPU."""
    with opened(load_backend("onnxruntime", threads=1, exact=True), model) as session:
        return session.run({"x": x})["y"]


def test_operators_for_float32_alone_are_given_float32() -> None:
    nodes = [
        make("Split", ["x"], ["b", "s"], "split", axis=2, num_outputs=2),
        make("Squeeze", ["b"], ["boxes"], "squeeze"),
        make("Unsqueeze", ["boxes", "zero"], ["batch"], "batch"),
        make("ReduceMax", ["s", "two"], ["scores"], "scores", keepdims=0),
        make("NonMaxSuppression", ["batch", "scores", "most"], ["kept"], "nms"),
        make("TopK", ["scores", "one"], ["best", "where"], "topk"),
        make("RandomUniformLike", ["best"], ["noise"], "noise", dtype=TensorProto.FLOAT),
        make("Mul", ["noise", "nothing"], ["none"], "none"),
        make("Add", ["best", "none"], ["y"], "y"),
        make("Cast", ["kept"], ["z"], "z", to=TensorProto.FLOAT),
    ]
    constants = {
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "most": np.array([3], np.int64),
        "nothing": F(0).reshape(1),
    }
    model = prepared(nodes, constants, [1, 1, 8, 4], ["y", "z"])
    half = write_fp16(model)
    check(half)
    known = types(half)
    by_name = {node.name: node for node in half.proto.graph.node}
    assert {known[n] for n in by_name["nms"].input[:2]} == {TensorProto.FLOAT}
    assert known[by_name["topk"].input[0]] == TensorProto.FLOAT16


def test_constants_that_are_results_stay_results() -> None:
    nodes = [make("Mul", ["x", "w"], ["y"], "mul")]
    model = prepared(nodes, {"w": np.full(4, 0.1, F)}, [1, 4], ["y", "w"])
    half = write_fp16(model)
    check(half)
    found = run(half, np.ones((1, 4), F))
    np.testing.assert_array_equal(found["w"], np.full(4, 0.1, F))
    np.testing.assert_allclose(found["y"], np.full((1, 4), 0.1), rtol=1e-3)


def test_an_input_that_is_a_result_is_passed_on() -> None:
    nodes = [make("Mul", ["x", "x"], ["y"], "mul")]
    half = write_fp16(prepared(nodes, {}, [1, 4], ["y", "x"]))
    check(half)
    x = np.full((1, 4), 1 / 3, F)
    np.testing.assert_array_equal(run(half, x)["x"], x)


# Measuring on a CPU.


def test_the_simulation_overflows_where_float16_does_and_onnxruntime_does_not() -> None:
    nodes = [make("Mul", ["x", "k"], ["a"], "up"), make("Div", ["a", "k"], ["y"], "down")]
    half = write_fp16(prepared(nodes, {"k": np.array([1000], F)}, [1, 2], ["y"]))
    x = np.float32([[1, 100]])
    np.testing.assert_array_equal(run(half, x)["y"], [[1, np.inf]])
    assert np.isfinite(plainly(half, x)).all(), "else the simulation is no longer needed"


def test_the_simulation_rounds_as_numpy_s_float16_does() -> None:
    nodes = [make("Mul", ["x", "k"], ["a"], "mul"), make("Add", ["a", "k"], ["y"], "add")]
    half = write_fp16(prepared(nodes, {"k": np.array([0.1], F)}, [1, 64], ["y"]))
    x = np.random.default_rng(2).normal(size=(1, 64)).astype(F)
    k = np.float16(0.1)
    np.testing.assert_array_equal(run(half, x)["y"], (x.astype(np.float16) * k + k).astype(F))


def test_a_model_without_float16_is_simulated_by_itself() -> None:
    model = detector()
    assert simulate_fp16(model) is model


def test_the_given_model_is_left_as_it_was() -> None:
    model = detector()
    before = model.to_bytes()
    simulate_fp16(write_fp16(model, ["head"]))
    assert model.to_bytes() == before
