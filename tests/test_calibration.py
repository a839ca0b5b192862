"""Calibration: ranges that do not depend on the order, the batches or the merging."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgesdk.calibration import load_recipe, recipe_names
from edgesdk.calibration.histogram import BINS, ChannelHistogram, Histogram
from edgesdk.errors import ConfigError, UnknownName

values = arrays.arrays(
    np.float32,
    st.tuples(st.just(4), st.integers(1, 8)),
    elements=st.floats(-1e6, 1e6, width=32, allow_nan=False),
)


def channels(*parts: np.ndarray) -> ChannelHistogram:
    made = ChannelHistogram(axis=0)
    for part in parts:
        made.add(part)
    return made


def whole(data: np.ndarray) -> Histogram:
    return channels(data[None]).whole()


def same(one: ChannelHistogram, other: ChannelHistogram) -> None:
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.largest, other.largest)
    np.testing.assert_array_equal(one.whole().edges, other.whole().edges)


@given(st.lists(values, min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_pictures_does_not_matter(parts, random) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)
    same(channels(*parts), channels(*shuffled))


@given(st.lists(values, min_size=2, max_size=5))
def test_neither_batches_nor_merging_matter(parts) -> None:
    merged = channels(parts[0])
    for part in parts[1:]:
        merged.merge(channels(part))
    same(merged, channels(*parts))
    same(merged, channels(np.concatenate(parts, axis=1)))


@given(values)
def test_every_value_lies_in_its_bin(data) -> None:
    h = channels(data).whole()
    assert h.total == data.size
    assert h.largest == np.abs(data).max()
    magnitudes = np.abs(data.astype(np.float64)).ravel()
    # numpy puts a value on an edge into the upper bin, and the largest into the last.
    inner = h.edges[1:-1]
    expected = np.bincount(np.searchsorted(inner, magnitudes, side="right"), minlength=BINS)
    used = np.flatnonzero(h.edges < h.largest)
    np.testing.assert_array_equal(h.counts[used[:-1]], expected[used[:-1]])


@given(values, st.lists(st.integers(-12, 12), min_size=4, max_size=4))
def test_moving_the_counts_is_counting_the_rescaled_tensor(data, powers) -> None:
    shifts = np.array(powers, np.int64)
    moved = channels(data).whole(shifts)
    rescaled = channels(np.ldexp(data, shifts[:, None]).astype(np.float32)).whole()
    assert moved.largest == rescaled.largest
    np.testing.assert_array_equal(moved.edges, rescaled.edges)
    # A value that is small before and large after may have been lost in the first bin.
    kept = np.abs(data) >= np.abs(data).max() * 2.0**-22
    if kept.all() or not data.any():
        np.testing.assert_array_equal(moved.counts, rescaled.counts)
    assert moved.total == rescaled.total


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        channels(np.array([[1, bad]], np.float32))


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="2 channels before, 3 now"):
        channels(np.zeros((2, 4), np.float32), np.zeros((3, 4), np.float32))


def test_every_shipped_recipe_can_be_read() -> None:
    assert {"balanced", "fast"} <= set(recipe_names())
    for name in recipe_names():
        assert load_recipe(name).title


def test_a_user_s_recipe_is_one_file_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "calibration"
    folder.mkdir()
    (folder / "mine.toml").write_text('title = "Mine"\nobserver = "minmax"\n')
    (folder / "wrong.toml").write_text('title = "Wrong"\nobservr = "minmax"\n')
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    assert load_recipe("mine").observer == "minmax"
    with pytest.raises(ConfigError, match="observr") as caught:
        load_recipe("wrong")
    assert "'observer'" in caught.value.hint


def test_a_wrong_recipe_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        load_recipe("balancd")
    assert "balanced" in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "probe_pictures = 0",
        "max_pictures = 0",
        "max_pictures = -3",
        'operators = ["Relu", "Add"]',
        "max_float_share = 7.0",
        "percentile = 0.0",
        "percentile = 100.5",
    ],
)
def test_a_recipe_with_an_impossible_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (tmp_path / "calibration").mkdir()
    recipe = f'title = "Mine"\nobserver = "mse"\n{line}\n'
    (tmp_path / "calibration" / "mine.toml").write_text(recipe)
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=line.split(maxsplit=1)[0]):
        load_recipe("mine")
