"""Agreement with the float model, and joined outputs that are told apart by their magnitude."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.accuracy import compare, match
from edgesdk.accuracy.agreement import BoxAgreement, Itself, OutputAgreement, sure_boxes
from edgesdk.accuracy.groups import Cut, cut_outputs, find_cut
from edgesdk.accuracy.output_error import OutputError, compare_tensors
from edgesdk.detections import Detections
from edgesdk.tensors import Array


def boxes(*rows: tuple[float, int, float]) -> Detections:
    """Of 100 x 100 pixels: left edge, class, score."""
    table = np.array(rows, np.float32).reshape(-1, 3)
    left = table[:, :1]
    corners = np.concatenate([left, left * 0, left + 100, left * 0 + 100], axis=1)
    return Detections(corners, table[:, 2], table[:, 1].astype(np.int64))


def agreement(*pictures: tuple[Detections, Detections]) -> float:
    """Of the pairs (float model's boxes, candidate's)."""
    cards = [match(found, sure_boxes(reference)) for reference, found in pictures]
    return float(BoxAgreement(cards).figures(np.ones((1, len(cards))))[0, 0])


FLOAT = boxes((0, 2, 0.9), (200, 5, 0.6), (400, 2, 0.1))


def test_the_float_model_agrees_with_itself_wholly() -> None:
    assert agreement((FLOAT, FLOAT), (boxes(), boxes())) == pytest.approx(1)
    assert Itself().figures(np.ones((3, 2))).tolist() == [[1], [1], [1]]


def test_a_lost_box_costs_its_share_and_an_unsure_one_nothing() -> None:
    # Of two sure boxes one is found: precision 1 at the recalls 0 ... .50, 51 of 101.
    assert agreement((FLOAT, FLOAT[:1])) == pytest.approx(51 / 101)
    assert agreement((FLOAT, FLOAT[:2])) == pytest.approx(1)


def test_another_class_does_not_agree() -> None:
    renamed = boxes((0, 3, 0.9), (200, 5, 0.6))
    # One ranking for all classes: the wrong one first, so that precision is 1/2 where the other
    # box is found.
    assert agreement((FLOAT, renamed)) == pytest.approx(0.5 * 51 / 101)


def test_a_float_model_that_is_sure_of_nothing_has_no_figure() -> None:
    assert np.isnan(agreement((FLOAT[2:], FLOAT[2:])))


def output_agreement(*pictures: list[tuple[Array, Array]]) -> float:
    rows = [[compare_tensors(a, b) for a, b in groups] for groups in pictures]
    return float(OutputAgreement(rows).figures(np.ones((1, len(rows))))[0, 0])


def test_without_boxes_or_classes_it_is_the_share_of_what_varies() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(5, 1, 10_000)
    noise = rng.normal(0, 0.1, 10_000)
    # The mean of 5 says nothing: 1 - .01 / 1, although the energy is 26.
    assert output_agreement([(signal, signal + noise)]) == pytest.approx(0.99, abs=0.001)
    dead = np.full(10_000, signal.mean())
    assert output_agreement([(signal, dead)]) == pytest.approx(0, abs=1e-6)
    assert output_agreement([(signal, signal), (signal, dead)][:1]) == 1
    assert output_agreement([(signal, signal), (signal, dead)]) == pytest.approx(0.5, abs=1e-6)
    assert output_agreement([(signal, -9 * signal)]) == 0, "never below 0"


def test_a_group_that_is_constant_in_the_float_model_does_not_count() -> None:
    signal, constant = np.arange(9.0), np.full(9, 3.0)
    assert output_agreement([(signal, signal), (constant, constant + 1)]) == 1
    (metric,) = compare(Itself(), OutputAgreement([[compare_tensors(signal, signal)]] * 4), 4)
    assert (metric.name, metric.drop, metric.drop_low) == ("agreement", 0, 0)


# --- joined outputs --------------------------------------------------------------------------


def joined(seed: int, classes: int, box_axis: int = 1) -> Array:
    """A YOLOv8-style output: boxes in pixels of a 640 x 640 input over 2100 cells, and scores."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform([[0], [0], [8], [8]], [[640], [640], [400], [400]], (4, 2100))
    scores = 1 / (1 + np.exp(-rng.normal(-6, 2.5, (classes, 2100))))
    whole = np.concatenate([cells, scores])[None]
    return whole if box_axis == 1 else whole.transpose(0, 2, 1)


@given(st.integers(0, 999), st.integers(1, 90), st.sampled_from([1, 2]))
def test_boxes_joined_with_scores_are_cut_apart(seed: int, classes: int, axis: int) -> None:
    assert find_cut(np.abs(joined(seed, classes, axis))) == Cut(axis, (0, 4, 4 + classes))


def test_one_figure_hides_dead_scores_and_the_parts_show_them() -> None:
    reference = joined(1, 80)
    built = reference.copy()
    built[:, 4:] = 0
    both = OutputError()
    both.add(reference, built)
    assert both.sqnr_db is not None
    assert both.sqnr_db > 20
    assert not both.flat
    cuts = {"output": Cut(1, (0, 4, 84))}
    ours, theirs = (cut_outputs({"output": v}, cuts) for v in (reference, built))
    assert list(ours) == ["output[0:4]", "output[4:84]"]
    parts = {name: OutputError() for name in ours}
    for name, error in parts.items():
        error.add(ours[name], theirs[name])
    assert parts["output[0:4]"].sqnr_db is None
    assert parts["output[4:84]"].sqnr_db == pytest.approx(0)
    assert parts["output[4:84]"].flat


def test_scores_on_both_sides_of_the_boxes_are_three_parts() -> None:
    scores, cells = np.split(joined(2, 6), [0])[1][:, 4:], joined(2, 6)[:, :4]
    whole = np.concatenate([scores[:, :1], cells, scores[:, 1:]], axis=1)
    assert find_cut(whole) == Cut(1, (0, 1, 5, 10))


@pytest.mark.parametrize("shape", [(1, 1000), (1, 10), (1, 64, 20, 20), (5,), (1, 3549, 85)])
def test_one_quantity_is_left_whole(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    assert find_cut(np.abs(rng.normal(0, 3, shape))) is None
    assert find_cut(np.zeros(shape)) is None


def test_channels_of_all_sizes_are_no_layout() -> None:
    wild = np.logspace(-4, 4, 16)[np.random.default_rng(5).permutation(16)][None, :, None]
    assert find_cut(np.broadcast_to(wild, (1, 16, 50))) is None


def test_a_dead_channel_is_no_part_of_its_own() -> None:
    features = np.abs(np.random.default_rng(6).normal(0, 1, (1, 8, 30)))
    features[:, 3] = 0
    assert find_cut(features) is None
