"""What is chosen for a tensor helps its layers' outputs on pictures that did not choose it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesdk.calibration.observers import find_observer
from edgesdk.calibration.recipe import Recipe
from edgesdk.calibration.statistics import TensorStatistics
from edgesdk.quantize.fit import Read, Rules, TensorFit, fit_tensor
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.samples import Samples
from tests.fitted import answers, drafted
from tests.onnx_graphs import make_model

RNG = np.random.default_rng(21)
RECIPE = Recipe("test", "minmax", min_balance_gain_db=2.0)
CORRECTING = replace(RECIPE, round_weights=True, correct_bias=True)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def product(rows: int, columns: int, name: str = "layer") -> Layer:
    """y = x W.T"""
    return Layer(name, "Gemm", "x", "w", 0, 1, 1, rows * columns)


def chosen(
    layers: Sequence[tuple[Layer, np.ndarray]],
    fit: np.ndarray,
    judge: np.ndarray,
    recipe: Recipe = CORRECTING,
    candidates: Sequence[np.ndarray] = (),
    folds: bool = True,
) -> TensorFit:
    """For inputs (places, columns)."""
    seen = TensorStatistics(1)
    for values in (fit, judge):
        seen.histogram.add(values)
    samples = Samples(fit[None], judge[None])
    reads = [Read(layer, weight, samples) for layer, weight in layers]
    rules = Rules(recipe, find_observer(recipe.observer))
    return fit_tensor(reads, seen, candidates, folds, rules)


SPREAD = np.array([1, 1, 30, 1000], np.float32)
SHIFTS = np.array([10, 10, 5, 0])
"""Makes them alike."""


@pytest.mark.parametrize("folds", [True, False])
def test_balancing_is_chosen_where_channels_differ(folds: bool) -> None:
    weight = normal(3, 4) / SPREAD
    found = chosen(
        [(product(3, 4), weight)],
        normal(300, 4) * SPREAD,
        normal(100, 4) * SPREAD,
        candidates=[SHIFTS],
        folds=folds,
    )
    np.testing.assert_array_equal(found.shifts, SHIFTS)
    assert found.gain_db > 10
    assert found.layers["layer"].sqnr_db > 30


@pytest.mark.parametrize("folds", [True, False])
def test_balancing_is_left_out_where_it_does_harm(folds: bool) -> None:
    """Channels are alike: shifting some only makes their steps coarser."""
    found = chosen(
        [(product(3, 4), normal(3, 4))],
        normal(300, 4),
        normal(100, 4),
        candidates=[np.array([0, -6, 0, 0]), np.array([-8, -8, -8, 0])],
        folds=folds,
    )
    assert found.shifts is None
    assert found.gain_db == 0


def test_a_small_gain_is_worth_no_operator_but_taken_where_it_is_free() -> None:
    weight, values = normal(8, 4), normal(500, 4)
    values[:, 0] *= 2
    weight[:, 0] *= 3
    gentle = [np.array([0, 1, 1, 1])]
    free = chosen([(product(8, 4), weight)], values, values[::3] * 0.99, candidates=gentle)
    paid = chosen(
        [(product(8, 4), weight)], values, values[::3] * 0.99, candidates=gentle, folds=False
    )
    assert 0.1 < free.gain_db < 2
    assert paid.shifts is None


def test_balancing_that_only_the_fitting_pictures_want_is_dropped() -> None:
    """On the others the channel that was small is the large one."""
    fit, judge = normal(300, 4) * SPREAD, normal(100, 4) * SPREAD[::-1]
    weight = normal(3, 4) / SPREAD
    found = chosen([(product(3, 4), weight)], fit, judge, candidates=[SHIFTS])
    assert found.shifts is None


def test_rounding_that_only_the_fitting_pictures_want_is_dropped() -> None:
    """Two columns that go together there, and against each other on those that judge.

    Where both are rounded the same way, GPTQ moves one of them by a level: right for their sum,
    and as wrong for their difference.
    """
    fit = normal(400, 1) * np.array([[1, 1, 0]], np.float32) + 0.02 * normal(400, 3)
    against = np.array([1, -1, 1], np.float32)
    weight = np.concatenate([normal(64, 2), np.full((64, 1), 9, np.float32)], axis=1)
    layer = (product(64, 3), weight)
    kept = chosen([layer], fit, fit[::4] + 0.01 * normal(100, 3))
    dropped = chosen([layer], fit, fit[::4] * against)
    assert "rounding" in kept.layers["layer"].corrections
    assert "rounding" not in dropped.layers["layer"].corrections
    plain = np.rint(weight / (np.abs(weight).max(axis=1, keepdims=True) / 127))
    np.testing.assert_array_equal(dropped.layers["layer"].corrected.weight, plain)


def test_a_bias_that_only_the_fitting_pictures_want_is_dropped() -> None:
    """Their mean is on the other side of zero."""
    fit = normal(400, 8) + 5
    recipe = replace(RECIPE, correct_bias=True)
    layer = (product(6, 8), normal(6, 8))
    found = chosen([layer], fit, -fit[::4], recipe)
    assert found.layers["layer"].corrections == ()
    assert not found.layers["layer"].corrected.bias.any()
    same = chosen([layer], fit, fit[::4], recipe)
    assert same.layers["layer"].corrections == ("bias",)


def test_a_range_is_searched_where_one_value_in_calibration_stretches_it() -> None:
    """The observer's range is 20 times what the layer reads; a narrower one keeps more of it."""
    values = normal(2000, 4)
    seen = TensorStatistics(1)
    seen.histogram.add(np.concatenate([values, np.full((1, 4), 80, np.float32)]))
    reads = [Read(product(6, 4), normal(6, 4), Samples(values[None, ::2], values[None, 1::2]))]
    found = {
        search: fit_tensor(
            reads,
            seen,
            (),
            True,
            Rules(replace(RECIPE, search_ranges=search), find_observer("minmax")),
        )
        for search in (False, True)
    }
    assert found[False].amax == pytest.approx(80)
    assert found[True].amax < 60
    assert found[True].layers["layer"].sqnr_db > found[False].layers["layer"].sqnr_db + 3


def test_no_range_goes_beyond_what_was_seen() -> None:
    values = normal(500, 4)
    searching = replace(RECIPE, search_ranges=True)
    found = chosen([(product(6, 4), normal(6, 4))], values, values[::4], searching)
    assert found.amax <= np.abs(values).max() * 1.0001


def test_all_readers_of_a_tensor_agree_on_one_range() -> None:
    """Balancing would help one of them a little and ruin the other: on average it is worse."""
    one, two = product(3, 4, "one"), product(5, 4, "two")
    tame, wild = normal(3, 4) / SPREAD, normal(5, 4)
    fit, judge = normal(300, 4) * SPREAD, normal(100, 4) * SPREAD
    found = chosen([(one, tame), (two, wild)], fit, judge, candidates=[SHIFTS])
    assert set(found.layers) == {"one", "two"}
    assert found.layers["one"].corrected.weight.shape == (3, 4)
    assert found.layers["two"].corrected.weight.shape == (5, 4)
    alone = [chosen([pair], fit, judge, candidates=[SHIFTS]) for pair in ((one, tame), (two, wild))]
    assert found.gain_db < alone[0].gain_db


def graph_of(x_to_y: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    return make_model(x_to_y, constants, {"x": [1, 3, 8, 8]}, ["y"])


def pictures(count: int = 8) -> list[np.ndarray]:
    return [normal(1, 3, 8, 8) for _ in range(count)]


BALANCED: dict[str, Any] = {
    "observer": "mse",
    "min_balance_gain_db": 2.0,
    "round_weights": True,
    "correct_bias": True,
    "search_ranges": True,
    "max_float_share": 1.0,
}


def known(draft: Any) -> bool:
    """Whether the noise of each layer is a number."""
    return not any(math.isnan(fit.sqnr_db) for fit in draft.fits.values())


def test_a_tensor_that_is_always_zero_is_taken() -> None:
    nodes = [
        helper.make_node("Sub", ["x", "x"], ["z"], "zero"),
        helper.make_node("Conv", ["z", "w", "b"], ["y"], "layer"),
    ]
    seen = pictures()
    proto = graph_of(nodes, {"w": normal(4, 3, 3, 3), "b": normal(4)})
    model, draft = drafted(proto, seen, **BALANCED)
    assert known(draft)
    for exact, found in zip(answers(model, seen), answers(draft.graph(), seen), strict=True):
        np.testing.assert_array_equal(exact, found)


def test_a_tensor_that_never_varies_is_no_reason_for_float() -> None:
    nodes = [
        helper.make_node("Sub", ["x", "x"], ["z"], "zero"),
        helper.make_node("Add", ["z", "c"], ["k"], "constant"),
        helper.make_node("Conv", ["k", "w", "b"], ["y"], "layer"),
    ]
    constants = {"w": normal(4, 3, 3, 3), "b": normal(4), "c": normal(1, 3, 1, 1)}
    seen = pictures()
    model, draft = drafted(graph_of(nodes, constants), seen, **BALANCED)
    assert known(draft)
    for exact, found in zip(answers(model, seen), answers(draft.graph(), seen), strict=True):
        # The bias takes all of what rounding does to a constant.
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


def test_weights_of_zeros_are_taken() -> None:
    zeros, some = np.zeros((4, 3, 3, 3), np.float32), normal(4, 4, 1, 1)
    some[1] = 0
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], "zeros"),
        helper.make_node("Conv", ["a", "v"], ["y"], "some"),
    ]
    seen = pictures()
    proto = graph_of(nodes, {"w": zeros, "v": some, "b": normal(4)})
    model, draft = drafted(proto, seen, **BALANCED)
    assert known(draft)
    for exact, found in zip(answers(model, seen), answers(draft.graph(), seen), strict=True):
        np.testing.assert_allclose(found, exact, atol=0.02 * np.abs(exact).max())
        assert not found[:, 1].any()


def test_a_weight_that_two_layers_share_is_rounded_for_each_of_them() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "one", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w"], ["y"], "two", pads=[1] * 4),
    ]
    smooth = [np.cumsum(np.cumsum(normal(1, 3, 8, 8), 2), 3) for _ in range(8)]
    weight = normal(3, 3, 3, 3)
    model, draft = drafted(graph_of(nodes, {"w": weight}), smooth, **BALANCED)
    graph = draft.graph().proto.graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    both = [stored[made[node.input[1]].input[0]] for node in graph.node if node.op_type == "Conv"]
    assert [levels.dtype for levels in both] == [np.int8, np.int8]
    assert (both[0] != both[1]).any(), "what they read differs, so does their rounding"
    assert "w" not in stored, "the float weight is gone"
    # With one of them in float the other keeps its own rounding.
    graph = draft.graph(["one"]).proto.graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    int8 = [levels for levels in stored.values() if levels.dtype == np.int8 and levels.ndim == 4]
    assert len(int8) == 1
    np.testing.assert_array_equal(int8[0], both[1])
    exact, found = np.stack(answers(model, smooth)), np.stack(answers(draft.graph(), smooth))
    assert 10 * np.log10(np.square(exact).sum() / np.square(found - exact).sum()) > 25
