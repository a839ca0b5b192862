"""What INT8 takes from the mean of a channel comes back by the bias, wherever that can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesdk.build.draft import Draft
from edgesdk.model import Model
from edgesdk.quantize.bias import add_to_bias, carries_bias
from tests.fitted import answers, drafted, mean_error
from tests.onnx_graphs import make_model

RNG = np.random.default_rng(12)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def pictures(*shape: int) -> list[np.ndarray]:
    """Three, each wholly sampled, with means far from zero: rounding then shifts the output."""
    return [np.abs(normal(*shape)) * 3 + 2 for _ in range(3)]


def both(proto: onnx.ModelProto, seen: list[np.ndarray], axis: int = 1) -> np.ndarray:
    """Largest mean error by channel without the correction, and with it."""
    errors = []
    for correct in (False, True):
        model, draft = drafted(proto, seen, correct_bias=correct)
        errors.append(np.abs(mean_error(model, draft.graph(), seen, axis)).max())
    return np.array(errors)


def one_layer(
    operator: str, constants: dict[str, np.ndarray], shape: list[int], **attributes: Any
) -> onnx.ModelProto:
    """x, a Relu that changes nothing, and the layer."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node(operator, ["r", *constants], ["y"], "layer", **attributes),
    ]
    return make_model(nodes, constants, {"x": shape}, ["y"])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_s_mean_error_goes(bias: bool, groups: int) -> None:
    constants = {"w": normal(6, 4 // groups, 3, 3)} | ({"b": normal(6)} if bias else {})
    proto = one_layer("Conv", constants, [1, 4, 16, 16], group=groups)
    plain, corrected = both(proto, pictures(1, 4, 16, 16))
    assert plain > 1e-2
    assert corrected < plain / 100


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_s_mean_error_goes(groups: int) -> None:
    constants = {"w": normal(4, 3, 2, 2), "b": normal(3 * groups)}
    proto = one_layer("ConvTranspose", constants, [1, 4, 9, 9], strides=[2, 2], group=groups)
    plain, corrected = both(proto, pictures(1, 4, 9, 9))
    assert plain > 1e-2
    assert corrected < plain / 100


@pytest.mark.parametrize("form", ["(O)", "(1,O)", "(M,O)", "()", "(1,)", "none"])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.25, 1.0), (1.0, 4.0), (3.0, 0.5)])
def test_a_gemm_s_mean_error_goes_whatever_its_bias_and_its_factors(
    form: str, alpha: float, beta: float
) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "(O)": (5,), "(1,O)": (1, 5), "(M,O)": (30, 5), "()": (), "(1,)": (1,),
    }  # fmt: skip
    constants = {"w": normal(5, 8)}
    if form != "none":
        constants["c"] = np.asarray(normal(*shapes[form]), np.float32)
    proto = one_layer("Gemm", constants, [30, 8], transB=1, alpha=alpha, beta=beta)
    plain, corrected = both(proto, pictures(30, 8))
    assert plain > 5e-3 * alpha
    assert corrected < plain / 50


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (20, 5), (1,)])
def test_a_product_s_mean_error_goes_into_the_addition_behind_it(
    shape: tuple[int, ...], turned: bool
) -> None:
    names = ["c", "p"] if turned else ["p", "c"]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w"], ["p"], "layer"),
        helper.make_node("Add", names, ["y"], "add"),
    ]
    constants = {"w": normal(8, 5), "c": normal(*shape)}
    proto = make_model(nodes, constants, {"x": [2, 20, 8]}, ["y"])
    plain, corrected = both(proto, pictures(2, 20, 8), axis=-1)
    assert plain > 1e-2
    assert corrected < plain / 50


def products(second: str) -> onnx.ModelProto:
    """A MatMul whose result goes where no bias is."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"], "layer")]
    outputs = ["y"]
    if second == "nothing":
        nodes[0].output[0] = "y"
    elif second == "Relu":
        nodes.append(helper.make_node("Relu", ["p"], ["y"], "relu"))
    elif second == "itself":
        nodes.append(helper.make_node("Add", ["p", "p"], ["y"], "add"))
    elif second == "input":
        nodes.append(helper.make_node("Add", ["p", "x"], ["y"], "add"))
    elif second == "output":
        nodes.append(helper.make_node("Add", ["p", "c"], ["y"], "add"))
        outputs.append("p")
    constants = {"w": normal(8, 8)} | ({"c": normal(8)} if second == "output" else {})
    return make_model(nodes, constants, {"x": [4, 8]}, outputs)


@pytest.mark.parametrize("second", ["nothing", "Relu", "itself", "input", "output"])
def test_where_no_bias_is_nothing_is_changed_nor_claimed(second: str) -> None:
    proto = products(second)
    before = proto.SerializeToString()
    assert not carries_bias(proto.graph, "layer")
    assert not add_to_bias(proto.graph, "layer", np.ones(8, np.float32))
    assert proto.SerializeToString() == before
    _, draft = drafted(proto, pictures(4, 8), correct_bias=True, round_weights=True)
    assert "bias" not in draft.fits["layer"].corrections
    assert not draft.fits["layer"].corrected.bias.any()


def test_rounding_does_not_lean_on_a_bias_that_is_not_there() -> None:
    """Inputs with means far above their spread: rounding for the spread alone would shift all."""
    weight = normal(32, 16)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "layer")]
    proto = make_model(nodes, {"w": weight}, {"x": [200, 32]}, ["y"])
    seen = [(4 + 0.3 * normal(200, 1) + 0.05 * normal(200, 32)).astype(np.float32) for _ in "123"]
    shifts = []
    for rounded in (False, True):
        model, draft = drafted(proto, seen, round_weights=rounded, correct_bias=True)
        shifts.append(np.square(mean_error(model, draft.graph(), seen, -1)).mean())
    assert shifts[1] <= shifts[0]


def test_a_bias_that_two_layers_share_is_changed_for_each_of_them() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["y"], "one"),
        helper.make_node("Conv", ["x", "v", "b"], ["z"], "two"),
    ]
    constants = {"w": normal(4, 3, 3, 3), "v": normal(4, 3, 3, 3), "b": normal(4)}
    proto = make_model(nodes, constants, {"x": [1, 3, 12, 12]}, ["y", "z"])
    seen = pictures(1, 3, 12, 12)
    model, draft = drafted(proto, seen, correct_bias=True)
    for output in "yz":
        exact = np.stack(answers(model, seen, output))
        wrong = np.stack(answers(draft.graph(), seen, output)) - exact
        assert np.abs(wrong.mean(axis=(0, 1, 3, 4))).max() < 1e-4
    # With one of them in float, that one answers as it did.
    half = draft.graph(["two"])
    for one, other in zip(answers(model, seen, "z"), answers(half, seen, "z"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_bias_that_is_computed_is_left_alone() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], "mean", axes=[0, 2, 3], keepdims=0),
        helper.make_node("Conv", ["x", "w", "m"], ["y"], "layer"),
    ]
    proto = make_model(nodes, {"w": normal(3, 3, 1, 1)}, {"x": [1, 3, 4, 4]}, ["y"])
    assert not carries_bias(proto.graph, "layer")
    assert not add_to_bias(proto.graph, "layer", np.ones(3, np.float32))


def wild_net() -> onnx.ModelProto:
    """Conv, Relu, depthwise Conv: the depthwise layer's factors fold into the first."""
    spread = np.logspace(0, 3, 8).astype(np.float32)
    constants = {
        "w1": np.abs(normal(8, 3, 1, 1)) * spread[:, None, None, None],
        "b1": (normal(8) + 1) * spread,
        "w2": normal(8, 1, 3, 3) / spread[:, None, None, None],
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "first"),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w2"], ["y"], "depthwise", group=8),
    ]
    return make_model(nodes, constants, {"x": [1, 3, 14, 14]}, ["y"])


def first_alone(draft: Draft, model: Model) -> tuple[Model, Model]:
    """Only the first layer in INT8, its output shown; beside it the balanced float model."""
    shown = []
    for graph in (draft.model, draft.graph(["depthwise"])):
        proto = onnx.ModelProto()
        proto.CopyFrom(graph.proto)
        del proto.graph.output[:]
        proto.graph.output.append(helper.make_tensor_value_info("c", 1, None))
        shown.append(Model.of(proto))
    assert model.proto.graph.node
    return shown[0], shown[1]


@pytest.mark.parametrize("rounded", [False, True])
def test_a_correction_moves_with_the_channels_that_balancing_rescales(rounded: bool) -> None:
    seen = pictures(1, 3, 14, 14)
    model, draft = drafted(
        wild_net(), seen, correct_bias=True, round_weights=rounded, min_balance_gain_db=2.0
    )
    assert draft.carriers == {"r": "first"}, "the factors fold: no Mul"
    weights = {t.name: numpy_helper.to_array(t) for t in draft.model.proto.graph.initializer}
    assert not np.array_equal(weights["w1"], wild_net().graph.initializer[0])
    exact, int8 = first_alone(draft, model)
    values = np.stack(answers(exact, seen, "c"))
    wrong = np.stack(answers(int8, seen, "c")) - values
    size = values.std(axis=(0, 1, 3, 4))
    mean = np.abs(wrong.mean(axis=(0, 1, 3, 4)))
    assert (mean / size).max() < 1e-4, "each channel's mean is right, rescaled or not"
    # And all of it in INT8 is near the given float model.
    ours, theirs = np.stack(answers(draft.graph(), seen)), np.stack(answers(model, seen))
    noise = np.square(ours - theirs).sum(axis=(0, 1, 3, 4))
    assert (10 * np.log10(np.square(theirs).sum(axis=(0, 1, 3, 4)) / noise)).min() > 25
