"""What a build writes down for the doctor: ranges, pictures, errors by depth."""

from __future__ import annotations

import itertools
from base64 import b64decode
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from edgesdk.backends import load_backend, opened
from edgesdk.bundle import (
    InputChannel,
)
from edgesdk.checkup import (
    VarietyMeter,
    accumulated_db,
    dominant_pictures,
    input_channels,
    range_evidence,
    thumbnails,
)
from edgesdk.checkup.gather import half_share
from edgesdk.checkup.thumbnails import MAX_BYTES
from edgesdk.model import Model
from edgesdk.pictures import Picture
from tests.checkup_samples import (
    CALIBRATION,
    EVIDENCE,
)
from tests.onnx_graphs import make_model


@dataclass
class Peak:
    value: float
    picture: str


@dataclass
class Peaks:
    highest: tuple[Peak, ...]
    folds: list[float]


def test_evidence_of_a_range_counts_channels_and_names_the_picture() -> None:
    peaks = Peaks((Peak(8.0, "b.jpg"), Peak(2.0, "a.jpg")), [8.0, 2.0] + [0.0] * 6)
    evidence = range_evidence(np.array([8.0, 0.0, 1.0, 2.0], np.float32), peaks)
    assert (evidence.channels, evidence.dead) == (4, 1)
    assert (evidence.channel_min, evidence.channel_median, evidence.channel_max) == (1.0, 2.0, 8.0)
    assert (evidence.peak_picture, evidence.peak_ratio) == ("b.jpg", 4.0)
    assert evidence.half_share == pytest.approx((8 + 2) / 2 / 8)  # one of two folds, at random


def test_evidence_of_a_balanced_range_is_of_the_channels_after_balancing() -> None:
    evidence = range_evidence(np.array([8.0, 1.0], np.float32), None, np.array([0, 3]))
    assert (evidence.channel_min, evidence.channel_max) == (8.0, 8.0)


def test_evidence_of_a_tensor_that_was_always_zero() -> None:
    peaks = Peaks((Peak(0.0, "a.jpg"), Peak(0.0, "b.jpg")), [0.0] * 8)
    evidence = range_evidence(np.zeros(3, np.float32), peaks)
    assert (evidence.dead, evidence.channel_max) == (3, 0.0)
    assert (evidence.peak_ratio, evidence.half_share) == (None, None)


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=8))
def test_half_the_folds_give_the_mean_over_all_choices(folds: list[float]) -> None:
    choices = itertools.combinations(folds, len(folds) // 2)
    expected = mean(max(choice) for choice in choices) / max(folds)
    assert half_share([*folds, 0.0]) == pytest.approx(expected)


def test_evidence_of_inputs_is_by_channel() -> None:
    @dataclass
    class Moments:
        lowest: tuple[float, ...] = (0.0, -1.0)
        highest: tuple[float, ...] = (1.0, 2.0)
        mean: tuple[float, ...] = (0.5, 0.25)
        std: tuple[float, ...] = (0.1, 0.2)

    assert input_channels(Moments()) == (
        InputChannel(0.0, 1.0, 0.5, 0.1),
        InputChannel(-1.0, 2.0, 0.25, 0.2),
    )


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def test_variety_counts_copies_and_tells_one_scene_from_many() -> None:
    shades, scene = VarietyMeter(), VarietyMeter()
    for level in (0, 0, 100, 200):
        shades.add(np.full((20, 30, 3), level, np.uint8))
    for brighter in range(4):
        scene.add(np.clip(noise(0).astype(int) + brighter, 0, 255).astype(np.uint8))
    result = shades.result()
    assert (result.pictures, result.distinct) == (4, 3)
    pairs = itertools.combinations((0, 0, 100, 200), 2)
    assert result.difference == pytest.approx(
        np.sqrt(mean((a - b) ** 2 for a, b in pairs)), abs=1e-3
    )
    assert scene.result().difference < 2


def test_thumbnails_are_small_pictures_of_the_first_four_only() -> None:
    big = cv2.resize(noise(1), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    pictures = [Picture(f"{index}.jpg", big) for index in range(6)]
    names = ["5.jpg", "4.jpg", "gone.jpg", "0.jpg", "1.jpg"]
    made = thumbnails(pictures, names)
    assert set(made) == {"5.jpg", "4.jpg", "0.jpg"}
    for data in made.values():
        content = np.frombuffer(b64decode(data), np.uint8)
        assert len(content) <= MAX_BYTES
        assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape == (90, 160, 3)


def test_the_error_of_a_layer_and_all_before_it_is_that_of_the_graphs() -> None:
    def scaled(*factors: float) -> Model:
        constants = {f"w{i}": np.full((1, 1, 1, 1), f, np.float32) for i, f in enumerate(factors)}
        nodes = [
            helper.make_node("Conv", ["x", "w0"], ["a"], "first"),
            helper.make_node("Conv", ["a", "w1"], ["y"], "second"),
        ]
        return Model.of(make_model(nodes, constants, {"x": [1, 1, 4, 4]}, ["y"]))

    feeds = [{"x": np.random.default_rng(3).normal(size=(1, 1, 4, 4)).astype(np.float32)}]
    found = accumulated_db(
        scaled(1.0, 1.0),
        scaled(1.1, 1.25),  # the second layer is 1.375 times what it should be
        ["first", "second", "gone"],
        feeds,
        partial(opened, load_backend("reference")),
    )
    assert set(found) == {"first", "second"}
    assert found["first"] == pytest.approx(20.0, abs=1e-3)
    assert found["second"] == pytest.approx(-20 * np.log10(0.375), abs=1e-3)


def test_the_picture_of_most_ranges_comes_first() -> None:
    alone = {
        "r1": replace(EVIDENCE, peak_ratio=2.0, peak_picture="b.jpg"),
        "r2": replace(EVIDENCE, peak_ratio=9.0, peak_picture="a.jpg"),
        "r3": replace(EVIDENCE, peak_ratio=2.0, peak_picture="b.jpg"),
    }
    ranges = {n: replace(CALIBRATION.ranges[n], evidence=e) for n, e in alone.items()}
    assert dominant_pictures(ranges) == ("b.jpg", "a.jpg")
