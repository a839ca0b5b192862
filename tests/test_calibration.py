"""Calibration: ranges that do not depend on the order, the batches or the merging."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgesdk.calibration import collect, load_recipe, recipe_names
from edgesdk.calibration.histogram import BINS, Histogram
from edgesdk.calibration.observers import amax_of, mse, saturated_share
from edgesdk.calibration.table import make_table
from edgesdk.errors import ConfigError, DataError, UnknownName

values = arrays.arrays(
    np.float32,
    arrays.array_shapes(max_dims=3, max_side=8),
    elements=st.floats(-1e6, 1e6, width=32, allow_nan=False),
)


def histogram(*parts: np.ndarray) -> Histogram:
    made = Histogram()
    for part in parts:
        made.add(part)
    return made


def state(h: Histogram) -> tuple[object, ...]:
    return h.exponent, h.zeros if h.exponent is None else None, h.largest, h.counts.tolist()


@given(st.lists(values, min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_pictures_does_not_matter(parts, random) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)
    one, other = histogram(*parts), histogram(*shuffled)
    assert one.total == other.total == sum(p.size for p in parts)
    assert one.largest == other.largest
    assert mse(one) == mse(other)


@given(values, values)
def test_merging_two_parts_is_counting_them_together(a, b) -> None:
    merged = histogram(a)
    merged.merge(histogram(b))
    together = histogram(a, b)
    assert merged.total == together.total
    assert merged.largest == together.largest
    if merged.exponent is not None:
        np.testing.assert_array_equal(merged.counts, together.counts)


@given(values)
def test_counts_agree_with_numpy(a) -> None:
    h = histogram(a)
    if h.exponent is None:
        assert not a.any()
        return
    expected, _ = np.histogram(np.abs(a.astype(np.float64)), BINS, (0, 2.0**h.exponent))
    np.testing.assert_array_equal(h.counts, expected)


def test_zeros_seen_before_anything_else_still_count() -> None:
    h = histogram(np.zeros(10, np.float32), np.ones(5, np.float32))
    assert h.total == 15


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        Histogram().add(np.array([1, bad], np.float32))


def test_minmax_takes_the_largest_magnitude() -> None:
    h = histogram(np.array([-3.25, 1, 2], np.float32))
    assert amax_of(h, "minmax") == 3.25
    assert saturated_share(h, 3.25) == 0


def test_mse_gives_up_a_lone_outlier_and_min_max_does_not() -> None:
    rng = np.random.default_rng(0)
    data = np.append(rng.normal(size=200_000), 100).astype(np.float32)
    h = histogram(data)

    def error(amax: float) -> float:  # on the values themselves, not on bins
        scale = amax / 127
        rounded = np.clip(np.rint(data / scale), -127, 127) * scale
        return float(np.square(data - rounded).sum())

    found = mse(h)
    best = min(error(a) for a in np.linspace(1, 100, 400))
    assert found < 50
    assert error(found) <= 1.02 * best
    assert error(found) < error(100.0)


def test_a_tensor_that_is_always_zero_has_the_range_zero() -> None:
    h = histogram(np.zeros((4, 4), np.float32))
    assert amax_of(h, "minmax") == amax_of(h, "mse") == 0


def test_the_saturated_share_is_that_of_the_values() -> None:
    h = histogram(np.arange(1, 101, dtype=np.float32))
    assert saturated_share(h, 90) == pytest.approx(0.10, abs=0.011)


class Doubler:
    """Stands in for a session: one tensor is twice the input."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"twice": feeds["x"] * 2}


def test_collecting_sees_inputs_and_inner_tensors() -> None:
    feeds = [(f"p{i}", {"x": np.full((1, 2), i, np.float32)}) for i in range(5)]
    histograms, count = collect(Doubler(), ["x", "twice"], feeds)
    table = make_table(histograms, "minmax", count)
    assert (table.pictures, table.ranges["x"].amax, table.ranges["twice"].amax) == (5, 4, 8)


def test_a_picture_that_breaks_the_float_model_is_named() -> None:
    feeds = [
        ("good", {"x": np.ones(2, np.float32)}),
        ("bad.jpg", {"x": np.full(2, np.nan, np.float32)}),
    ]
    with pytest.raises(DataError, match=r"'x' for the picture bad\.jpg"):
        collect(Doubler(), ["x"], feeds)


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
