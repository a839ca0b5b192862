"""Average precision from score cards is pycocotools' own, for any multiset of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk import _optional
from edgesdk.accuracy import CardTable, DetectionMetric, compare, match
from edgesdk.detections import Detections
from edgesdk.errors import MissingExtra
from edgesdk.tensors import Array
from tests.pycocotools_alone import Pair, pycocotools_figures


def ours(pictures: list[Pair], weights: list[int] | None = None) -> Array:
    table = CardTable([match(*pair) for pair in pictures])
    return table.figures(np.array([weights or [1] * len(pictures)]))[0]


def scene(seed: int, pictures: int, classes: int, levels: int) -> list[Pair]:
    """Random truth, and boxes near it, beside it and of the wrong class.

    Scores have `levels` values only: few of them make many ties.
    """
    rng = np.random.default_rng(seed)

    def boxes(corner: Array, size: Array, kinds: Array) -> Detections:
        score = rng.integers(1, levels + 1, len(kinds)) / levels
        xyxy = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        return Detections(xyxy, score.astype(np.float32), kinds.astype(np.int64))

    made: list[Pair] = []
    for _ in range(pictures):
        count, extra = rng.integers(0, 6), rng.integers(0, 8)
        corner, size = rng.uniform(0, 300, (count, 2)), rng.uniform(10, 200, (count, 2))
        kinds = rng.integers(0, classes, count)
        truth = boxes(corner, size, kinds)
        near = rng.integers(0, count, extra) if count else np.zeros(0, np.int64)
        moved = corner[near] + rng.normal(0, 6, (len(near), 2))
        wrong = rng.random(len(near)) < 0.2
        named = np.where(wrong, rng.integers(0, classes, len(near)), kinds[near])
        made.append((boxes(moved, size[near] * rng.uniform(0.8, 1.2), named), truth))
    return made


scenes = st.builds(
    scene,
    seed=st.integers(0, 2**32 - 1),
    pictures=st.integers(1, 6),
    classes=st.integers(1, 4),
    levels=st.sampled_from([1, 3, 10, 1000]),
)


def scorable(pictures: list[Pair]) -> bool:
    """pycocotools refuses an empty list of results, and without truth there is no figure."""
    return any(len(f) for f, _ in pictures) and any(len(t) for _, t in pictures)


@settings(deadline=None)
@given(scenes.filter(scorable))
def test_it_is_pycocotools_own_figure_ties_included(pictures: list[Pair]) -> None:
    assert ours(pictures) == pytest.approx(pycocotools_figures(pictures), abs=1e-9)


@settings(deadline=None)
@given(scenes.filter(scorable), st.data())
def test_a_picture_that_counts_twice_is_a_picture_that_is_there_twice(
    pictures: list[Pair], data: st.DataObject
) -> None:
    # Equal scores within one picture would be ordered otherwise by a copy behind it.
    rng = np.random.default_rng(0)
    pictures = [(with_scores(found, rng.random(len(found))), truth) for found, truth in pictures]
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(pictures), max_size=len(pictures)))
    drawn = [pair for pair, n in zip(pictures, weights, strict=True) for _ in range(n)]
    if scorable(drawn):
        expected = pycocotools_figures(drawn)
        assert ours(pictures, weights) == pytest.approx(expected, abs=1e-9)


def with_scores(found: Detections, score: Array) -> Detections:
    return Detections(found.xyxy, score.astype(np.float32), found.class_id)


def test_more_than_a_hundred_boxes_of_a_class_count_as_a_hundred() -> None:
    grid = np.stack(np.meshgrid(np.arange(15), np.arange(10)), -1).reshape(-1, 2) * 30.0
    xyxy = np.concatenate([grid, grid + 20], axis=1).astype(np.float32)
    rng = np.random.default_rng(1)
    kinds = np.zeros(150, np.int64)
    pictures = [(Detections(xyxy, rng.random(150).astype(np.float32), kinds),) * 2]
    assert ours(pictures) == pytest.approx(pycocotools_figures(pictures), abs=1e-9)
    assert ours(pictures)[1] < 0.7, "50 of 150 cannot be found"


def test_all_draws_at_once_are_each_draw_by_itself() -> None:
    table = CardTable([match(*pair) for pair in scene(4, 9, 3, 50)])
    weights = np.random.default_rng(2).integers(0, 3, (40, 9))
    together = table.figures(weights)
    for row, expected in zip(weights, together, strict=True):
        assert table.figures(row[None])[0] == pytest.approx(expected, abs=1e-12)


def test_a_draw_without_a_labelled_box_has_no_figure() -> None:
    box = Detections(
        np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    table = CardTable([match(box, box), match(box, Detections.empty())])
    assert np.isnan(table.figures(np.array([[0, 2]]))).all()


def test_equal_boxes_in_few_pictures_are_no_proof_of_equal_models() -> None:
    table = CardTable([match(truth, truth) for _, truth in scene(4, 20, 2, 50)])
    metrics = compare(table, table, 20)
    # 16.8 % of pictures could differ and 20 of them show none: .832^20 = .025.
    assert [m.drop_high for m in metrics] == pytest.approx([0.168, 0.168], abs=1e-3)
    assert [m.drop_high for m in compare(table, table, 20, exact=True)] == [0, 0]


def test_without_pycocotools_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(_optional.importlib, "import_module", absent)
    with pytest.raises(MissingExtra, match="mean average precision") as caught:
        DetectionMetric().add(*scene(1, 1, 1, 10)[0])
    assert "edgesdk[accuracy]" in caught.value.hint
