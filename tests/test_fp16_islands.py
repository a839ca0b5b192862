"""Which nodes FP16 leaves in float32, by the ranges that calibration saw."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.quantize.fp16 import find_islands, peaks, simulate_fp16, tensors_to_watch, write_fp16
from tests.fp16_nets import (
    PICTURES,
    attention_net,
    detector,
    huge_net,
    observed,
    prepared,
    run,
    sqnr_db,
    written_out_norm,
)

TOKENS = [np.random.default_rng(i).normal(size=(1, 16, 8)).astype(np.float32) for i in range(3)]


def test_a_net_of_ordinary_values_has_no_island() -> None:
    model = detector()
    assert find_islands(model, observed(model, PICTURES)) == {}


def test_values_beyond_float16_make_an_island_that_saves_the_answer() -> None:
    model = huge_net()
    islands = find_islands(model, observed(model, PICTURES))
    # Values of 1e6 are made by `large`, passed on by `relu` and `pool`, and read by `back`.
    assert set(islands) == {"large", "relu", "pool", "back"}
    assert "FP16 ends at 65504" in islands["large"]
    assert "gives values up to" in islands["large"]
    assert "reads values up to" in islands["back"]
    half = write_fp16(model, islands)
    for x in PICTURES:
        assert sqnr_db(run(model, x)["y"], run(half, x)["y"]) > 50
    kinds = [node.op_type for node in half.proto.graph.node]
    assert kinds == ["Conv", "Relu", "MaxPool", "Conv", "Cast", "Sigmoid", "Conv", "Cast"]


def test_without_the_island_the_values_are_infinite() -> None:
    half = write_fp16(huge_net())
    assert np.isinf(run(with_outputs_of_half(half, "a"), PICTURES[0])["seen"]).any()


def with_outputs_of_half(model: Model, tensor: str) -> Model:
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    proto.graph.node.append(helper.make_node("Cast", [tensor], ["seen"], "see", to=1))
    return with_outputs(Model.of(proto), ["seen"])


def test_attention_with_layer_norms_needs_no_island_but_the_lost_epsilon() -> None:
    model = attention_net(epsilon=1e-5)
    assert find_islands(model, observed(model, TOKENS)) == {}
    tiny = attention_net(epsilon=1e-12)
    islands = find_islands(tiny, observed(tiny, TOKENS))
    whole = {"mean", "apart", "square", "variance", "add_epsilon", "root_of", "divide"}
    assert set(islands) == whole
    assert "the epsilon 1e-12 ('epsilon') is 0 in FP16" in islands["add_epsilon"]


def test_a_normalisation_stays_together_where_its_squares_are_too_large() -> None:
    model = attention_net(epsilon=1e-5)
    # Tokens a hundred times as large: differences of 300, squares of 90000, variances of 10000.
    islands = find_islands(model, observed(model, [100 * x for x in TOKENS]))
    whole = {"mean", "apart", "square", "variance", "add_epsilon", "root_of", "divide"}
    assert set(islands) == whole
    assert islands["divide"].startswith("one normalisation with its neighbours")


def test_a_mask_of_minus_1e9_is_no_reason() -> None:
    model = attention_net(epsilon=1e-5)
    seen = {**observed(model, TOKENS)}
    assert seen["masked"] > 9e8, "calibration sees the mask in the scores"
    assert "mask_scores" not in find_islands(model, seen)


RULES = {
    "exp grows": ("Exp", {}, 6.0, 1.0, True),
    "exp of small values": ("Exp", {}, 5.0, 1.0, False),
    "long average": ("GlobalAveragePool", {}, 3.0, 3.0, True),
    "short average": ("GlobalAveragePool", {}, 0.5, 0.5, False),
    "root of squares": ("ReduceL2", {"keepdims": 1}, 3.0, 3.0, True),
    "instance norm": ("InstanceNormalization", {}, 100.0, -100.0, True),
    "relu": ("Relu", {}, 8000.0, 1.0, False),
    "relu of large": ("Relu", {}, 8500.0, 1.0, True),
    "smaller than normal numbers": ("Abs", {}, 3e-5, 2e-5, True),
    "zero": ("Abs", {}, 0.0, 0.0, False),
}


@pytest.mark.parametrize(
    ("operator", "attributes", "high", "low", "is_island"), RULES.values(), ids=RULES.keys()
)
def test_each_operator_is_judged_by_what_it_does_with_its_values(
    operator: str, attributes: dict[str, int], high: float, low: float, is_island: bool
) -> None:
    """`high` and `low` alternate in a picture of 64 x 64."""
    constants = {"one": np.ones(2, np.float32)}
    extra = ["one", "one"] if operator == "InstanceNormalization" else []
    nodes = [helper.make_node(operator, ["x", *extra], ["y"], "node", **attributes)]
    model = prepared(nodes, constants, [1, 2, 64, 64], ["y"])
    x = np.where(np.indices((1, 2, 64, 64)).sum(axis=0) % 2, high, low).astype(np.float32)
    islands = find_islands(model, observed(model, [x]))
    assert set(islands) == ({"node"} if is_island else set())


def test_powers_are_judged_by_values_twice_as_large() -> None:
    nodes = [helper.make_node("Pow", ["x", "e"], ["y"], "node")]
    model = prepared(nodes, {"e": np.array(4, np.float32)}, [1, 4], ["y"])
    # 8**4 = 4096 and 16**4 = 65536, beyond 65504; 7.9**4 = 3895 and 15.8**4 = 62320.
    assert set(find_islands(model, observed(model, [np.full((1, 4), 8, np.float32)]))) == {"node"}
    assert find_islands(model, observed(model, [np.full((1, 4), 7.9, np.float32)])) == {}


def test_a_softmax_over_more_entries_than_float16_counts_is_an_island() -> None:
    for entries, expected in ((8000, set()), (9000, {"node"})):
        nodes = [helper.make_node("Softmax", ["x"], ["y"], "node", axis=-1)]
        model = prepared(nodes, {}, [1, entries], ["y"])
        assert set(find_islands(model, {"x": 1.0})) == expected


def test_tensors_that_nobody_watched_say_nothing() -> None:
    assert find_islands(huge_net(), {}) == {}


def test_what_follows_from_other_ranges_is_not_watched() -> None:
    # Of the detector: the input and the three convolutions; ReLU, Reshape, Transpose follow.
    assert list(tensors_to_watch(detector())) == ["images", "c1", "c2", "c3"]
    silu = [
        helper.make_node("Sigmoid", ["x"], ["s"], "sigmoid"),
        helper.make_node("Mul", ["x", "s"], ["m"], "mul"),
        helper.make_node("Add", ["m", "m"], ["y"], "add"),
    ]
    assert tensors_to_watch(prepared(silu, {}, [1, 3, 4, 4], ["y"])) == {"x": 1, "y": 1}
    tokens = tensors_to_watch(attention_net())
    assert tokens["q"] == 2, "channels of tokens lie on the last axis"
    assert "kt" not in tokens


def test_peaks_are_the_largest_magnitudes() -> None:
    model = detector()
    found = observed(model, PICTURES)
    tensors = [name for name in found if name != "images"]
    answers = [run(with_outputs(model, tensors), x) for x in PICTURES]
    for name in tensors:
        assert found[name] == max(float(np.abs(a[name]).max()) for a in answers)
    assert found["images"] == max(float(np.abs(x).max()) for x in PICTURES)


def test_peaks_leave_the_answers_alone() -> None:
    model = detector()
    more = peaks(model, tensors_to_watch(model)).model
    x = PICTURES[0]
    np.testing.assert_array_equal(run(model, x)["output"], run(more, x)["output"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 17, 99])
def test_a_peak_passes_over_no_nan_and_no_infinity(bad: float, place: int) -> None:
    model = prepared([helper.make_node("Relu", ["x"], ["y"], "relu")], {}, [1, 100], ["y"])
    x = np.ones((1, 100), np.float32)
    x[0, place] = bad
    found = observed(model, [x, np.ones((1, 100), np.float32)])
    assert not np.isfinite(found["x"])
    assert set(find_islands(model, found)) == {"relu"}


def test_peaks_of_the_simulation_show_where_float16_overflows() -> None:
    simulated = simulate_fp16(write_fp16(huge_net()))
    found = observed(simulated, PICTURES)
    assert np.isfinite(found["x"])
    assert not np.isfinite(found["a"])


def test_a_lost_epsilon_would_divide_by_zero() -> None:
    constants = {
        "two": np.array(2, np.float32),
        "epsilon": np.array(1e-12, np.float32),
        "axis": np.array([-1], np.int64),
    }
    model = prepared(written_out_norm("x"), constants, [1, 4, 8], ["normed"])
    flat = np.full((1, 4, 8), 0.5, np.float32)  # no variance at all: 0 / sqrt(epsilon)
    np.testing.assert_array_equal(run(write_fp16(model), flat)["normed"], np.zeros((1, 4, 8)))
