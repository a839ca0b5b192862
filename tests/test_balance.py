"""Channel balancing: INT8 gets better, and the float model's answers do not change by one bit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgesdk.backends import load_backend
from edgesdk.calibration import collect, find_observer
from edgesdk.calibration.histogram import ChannelHistogram, Ints
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.balance import Balanced, balance, balancing_candidates
from edgesdk.quantize.layers import Layer, find_layers
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import make_model, small_detector

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(11)


def run(model: Model, x: np.ndarray) -> dict[str, np.ndarray]:
    backend = load_backend("onnxruntime", threads=1, exact=True)
    return backend.open(backend.compile(model)).run({"x": x})


def seen(model: Model, layers: tuple[Layer, ...], x: np.ndarray) -> dict[str, ChannelHistogram]:
    watch = {layer.activation: layer.input_axis for layer in layers}
    backend = load_backend("onnxruntime", exact=True)
    found = collect(model, watch, [("x", {"x": x})], lambda m: backend.open(backend.compile(m)))
    return {name: tensor.histogram for name, tensor in found.tensors.items()}


def chosen(model: Model, layers: tuple[Layer, ...], x: np.ndarray) -> dict[str, Ints]:
    """Tensor -> the boldest way to balance it; tensors that have none are left out."""
    weights = {t.name: numpy_helper.to_array(t) for t in model.proto.graph.initializer}
    shifts = {}
    for tensor, histogram in seen(model, layers, x).items():
        readers = [layer for layer in layers if layer.activation == tensor]
        found = balancing_candidates(histogram, readers, [weights[r.weight] for r in readers])
        if found:
            shifts[tensor] = found[-1]
    return shifts


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def spread(count: int) -> np.ndarray:
    """Channel sizes from 1 to 1000."""
    return np.logspace(0, 3, count).astype(np.float32)


def balanced(proto: onnx.ModelProto, x: np.ndarray) -> tuple[Model, Balanced]:
    model = prepare(Model.of(proto), 17, {})
    layers = find_layers(model, OPERATORS)
    return model, balance(model, layers, chosen(model, layers, x))


def renamed_detector() -> onnx.ModelProto:
    proto = small_detector(wild=True)
    for node in proto.graph.node:
        node.input[:] = ["x" if name == "images" else name for name in node.input]
    proto.graph.input[0].name = "x"
    return proto


def test_factors_fold_into_a_relu_s_producer_and_cost_nothing() -> None:
    x = normal(1, 3, 32, 32)
    model, made = balanced(renamed_detector(), x)
    assert made.carriers["r1"] == "first", "Conv - Relu - depthwise: folded into the first Conv"
    kinds = [node.op_type for node in made.model.proto.graph.node]
    assert kinds.count("Mul") == len([c for c in made.carriers.values() if c.endswith("_balance")])
    np.testing.assert_array_equal(run(model, x)["output"], run(made.model, x)["output"])


def test_balancing_rescues_the_layer_whose_channels_differ() -> None:
    x = normal(1, 3, 32, 32)
    model, made = balanced(renamed_detector(), x)
    exact = run(with_outputs(model, ["c2"]), x)["c2"]

    def by_channel_db(float_model: Model, layers: tuple[Layer, ...]) -> np.ndarray:
        """Of each channel of the depthwise layer, when only that layer is INT8."""
        counted = {n: h.whole() for n, h in seen(float_model, layers, x).items()}
        only = [layer for layer in layers if layer.node == "depthwise"]
        amax = {n: find_observer("mse").amax(h) for n, h in counted.items()}
        int8 = write_qdq(float_model, amax, only)
        found = run(with_outputs(int8, ["c2"]), x)["c2"]
        scale = exact.std(axis=(0, 2, 3)) / run(with_outputs(float_model, ["c2"]), x)["c2"].std(
            axis=(0, 2, 3)
        )
        error = np.square(found * scale[:, None, None] - exact).sum(axis=(0, 2, 3))
        return 10 * np.log10(np.square(exact).sum(axis=(0, 2, 3)) / error)

    before = by_channel_db(model, find_layers(model, OPERATORS))
    after = by_channel_db(made.model, made.layers)
    assert before.min() < 10, "the smallest channel drowns"
    assert after.min() > 30


def convolution(groups: int, cin: int, cout: int, relu: str) -> onnx.ModelProto:
    constants = {
        "w0": normal(cin, 3, 1, 1) * spread(cin)[:, None, None, None],
        "b0": normal(cin) * spread(cin),
        "w1": normal(cout, cin // groups, 3, 3),
    }
    nodes = [helper.make_node("Conv", ["x", "w0", "b0"], ["a"], "zero")]
    if relu == "SiLU":
        nodes += [
            helper.make_node("Sigmoid", ["a"], ["s"], "sigmoid"),
            helper.make_node("Mul", ["a", "s"], ["t"], "silu"),
        ]
    else:
        nodes.append(helper.make_node(relu, ["a"], ["t"], "activation"))
    nodes.append(helper.make_node("Conv", ["t", "w1"], ["y"], "one", group=groups))
    return make_model(nodes, constants, {"x": [1, 3, 8, 8]}, ["y"])


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([1, 2, 4]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["Relu", "LeakyRelu", "Identity", "HardSwish", "SiLU"]),
)
def test_any_convolution_keeps_its_answers_bit_for_bit(
    groups: int, ins: int, outs: int, relu: str
) -> None:
    x = normal(1, 3, 8, 8)
    model, made = balanced(convolution(groups, groups * ins, groups * outs, relu), x)
    np.testing.assert_array_equal(run(model, x)["y"], run(made.model, x)["y"])
    if "t" in made.carriers:
        folds = relu in ("Relu", "LeakyRelu", "Identity")
        assert (made.carriers["t"] == "zero") == folds
    onnx.checker.check_model(made.model.proto, full_check=True)


@pytest.mark.parametrize("relu", ["Relu", "LeakyRelu", "Identity", "SiLU"])
def test_it_is_told_which_tensors_hold_other_values_and_by_which_powers(relu: str) -> None:
    x = normal(1, 3, 8, 8)
    model, made = balanced(convolution(1, 4, 6, relu), x)
    names = {out for node in model.proto.graph.node for out in node.output}
    before = run(with_outputs(model, names), x)
    after = run(with_outputs(made.model, names), x)
    assert made.scaled.keys() == (set() if relu == "SiLU" else {"a", "t"} & names)
    for name in names:
        powers = made.scaled.get(name)
        factors = 1 if powers is None else np.ldexp(np.float32(1), powers).reshape(-1, 1, 1)
        np.testing.assert_array_equal(after[name], before[name] * factors)


@pytest.mark.parametrize("operator", ["Gemm", "Gemm transposed", "MatMul", "ConvTranspose"])
def test_other_layers_keep_their_answers(operator: str) -> None:
    if operator == "ConvTranspose":
        shape, weight = [1, 6, 5, 5], normal(6, 4, 2, 2)
        node = helper.make_node("ConvTranspose", ["t", "w"], ["y"], "layer", strides=[2, 2])
        factors = spread(6)[:, None, None]
    else:
        turned = operator.endswith("transposed")
        shape, weight = [3, 6], normal(4, 6) if turned else normal(6, 4)
        kind = operator.split(maxsplit=1)[0]
        attributes = {"transB": 1} if turned else {}
        node = helper.make_node(kind, ["t", "w"], ["y"], "layer", **attributes)
        factors = spread(6)
    nodes = [helper.make_node("Mul", ["x", "factors"], ["t"], "spread"), node]
    x = normal(*shape)
    model, made = balanced(
        make_model(nodes, {"w": weight, "factors": factors}, {"x": shape}, ["y"]), x
    )
    assert made.carriers == {"t": "t_balance"}
    # A matrix product may be summed in another order: a few units in the last place.
    np.testing.assert_allclose(run(model, x)["y"], run(made.model, x)["y"], rtol=3e-7, atol=0)


def test_a_tensor_that_others_read_too_is_not_changed_for_them() -> None:
    constants = {
        "w0": normal(4, 3, 1, 1) * spread(4)[:, None, None, None],
        "w1": normal(4, 1, 3, 3),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["t"], "zero"),
        helper.make_node("Conv", ["t", "w1"], ["y"], "one", group=4, pads=[1] * 4),
        helper.make_node("Add", ["t", "y"], ["z"], "residual"),
    ]
    x = normal(1, 3, 8, 8)
    model, made = balanced(make_model(nodes, constants, {"x": [1, 3, 8, 8]}, ["z"]), x)
    assert made.carriers["t"] == "t_balance", "a Mul of its own, since the Add reads it too"
    np.testing.assert_array_equal(run(model, x)["z"], run(made.model, x)["z"])


def test_two_layers_that_share_a_weight_each_get_their_own() -> None:
    nodes = [
        helper.make_node("Mul", ["x", "f"], ["a"], "spread"),
        helper.make_node("Conv", ["a", "w"], ["b"], "one", pads=[1] * 4, group=3),
        helper.make_node("Conv", ["b", "w"], ["y"], "two", pads=[1] * 4, group=3),
    ]
    constants = {"w": normal(3, 1, 3, 3), "f": spread(3)[:, None, None]}
    x = normal(1, 3, 8, 8)
    model, made = balanced(make_model(nodes, constants, {"x": [1, 3, 8, 8]}, ["y"]), x)
    np.testing.assert_array_equal(run(model, x)["y"], run(made.model, x)["y"])


def test_dead_channels_are_left_alone() -> None:
    constants = {"w0": normal(4, 3, 1, 1), "w1": normal(4, 1, 3, 3)}
    constants["w0"][1] = 0
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["t"], "zero"),
        helper.make_node("Conv", ["t", "w1"], ["y"], "one", group=4),
    ]
    x = normal(1, 3, 8, 8)
    model = prepare(Model.of(make_model(nodes, constants, {"x": [1, 3, 8, 8]}, ["y"])), 17, {})
    layers = find_layers(model, OPERATORS)
    shifts = chosen(model, layers, x)
    assert shifts.get("t", np.zeros(4))[1] == 0


def test_a_tensor_read_along_two_axes_is_left_alone() -> None:
    """By a matrix product along the last axis and by a convolution along the first."""
    nodes = [
        helper.make_node("Mul", ["x", "f"], ["a"], "spread"),
        helper.make_node("Conv", ["a", "w1"], ["y1"], "conv", pads=[1] * 4),
        helper.make_node("MatMul", ["a", "w2"], ["y2"], "product"),
    ]
    constants = {"f": spread(8)[:, None, None], "w1": normal(4, 8, 3, 3), "w2": normal(8, 4)}
    x = normal(1, 8, 8, 8)
    model, made = balanced(make_model(nodes, constants, {"x": [1, 8, 8, 8]}, ["y1", "y2"]), x)
    assert made.carriers == {}
    np.testing.assert_array_equal(run(model, x)["y2"], run(made.model, x)["y2"])


def test_a_matrix_product_after_a_convolution_gets_its_factors_on_its_own_axis() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"], "conv"),
        helper.make_node("Mul", ["c", "f"], ["a"], "spread"),
        helper.make_node("MatMul", ["a", "w2"], ["y"], "product"),
    ]
    constants = {"w1": normal(8, 3, 1, 1), "f": spread(8), "w2": normal(8, 4)}
    x = normal(1, 3, 8, 8)
    model, made = balanced(make_model(nodes, constants, {"x": [1, 3, 8, 8]}, ["y"]), x)
    assert made.carriers["a"] == "a_balance"
    np.testing.assert_allclose(run(model, x)["y"], run(made.model, x)["y"], rtol=1e-5, atol=1e-5)
