"""Whether a wrong preprocessing is found by asking the float model, and a right one left alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import helper

from edgesdk.backends import load_backend, opened
from edgesdk.bundle import PreprocessCheck
from edgesdk.checkup import (
    compare_preprocessing,
    examine,
    first_norm,
    judging_decoder,
    sample_images,
)
from edgesdk.checkup.certainty import BEST_BOXES, ClassJudge, confirmed, mirrored
from edgesdk.checkup.preprocessing import MOST, SCREEN
from edgesdk.checkup.variations import swapped, value_range, variations
from edgesdk.detections import Detections
from edgesdk.geometry import Placement
from edgesdk.model import Model, read_model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.pictures import open_pictures
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.decoders.classes import Decoder, Settings
from edgesdk.zoo import load_entry
from tests.checkup_samples import calibrated
from tests.onnx_graphs import make_model

PLAIN = Preprocess(8, 8, resize="stretch")
CLASSES = Decoder(Settings(softmax=False), PLAIN)


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    return [
        np.random.default_rng(seed + index).integers(0, 256, (8, 8, 3), np.uint8)
        for index in range(count)
    ]


def found_by(check: PreprocessCheck) -> list[str]:
    findings = examine(calibrated(preprocessing=check)).findings
    return [finding.id for finding in findings if finding.severity != "info"]


# --- the variations -------------------------------------------------------------------------------


def test_swapping_twice_is_where_one_started_and_mean_goes_with_its_colour() -> None:
    given = replace(PLAIN, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    assert swapped(given).color == "bgr"
    assert swapped(given).mean == (3.0, 2.0, 1.0)
    assert swapped(swapped(given)) == given


def test_a_convention_that_the_spec_follows_already_is_not_tried_again() -> None:
    nearly = replace(PLAIN, mean=(127.0,) * 3, std=(128.0,) * 3)  # as -1..1, but for a hair
    titles = [way.title for way in variations(nearly) if way.change == "range"]
    assert len(titles) == 3
    assert not any("-1..1" in title for title in titles)
    assert len([way for way in variations(PLAIN) if way.change == "range"]) == 3  # all but 0..255


def test_the_range_of_values_is_what_the_preprocessing_makes_of_black_and_white() -> None:
    given = Preprocess(8, 8, "stretch", "rgb", 1 / 255, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5))
    white, _ = given(np.full((8, 8, 3), 255, np.uint8))
    black, _ = given(np.zeros((8, 8, 3), np.uint8))
    low, high = value_range(given)
    assert black[0, :, 0, 0] == pytest.approx(low)
    assert white[0, :, 0, 0] == pytest.approx(high, rel=1e-5)


def test_large_pictures_are_sampled_small_and_small_ones_as_they_are(tmp_path: Path) -> None:
    for index, (height, width) in enumerate([(300, 900), (8, 8), (10, 16)]):
        image = np.full((height, width, 3), index, np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), image)
    images = sample_images(open_pictures(tmp_path), PLAIN)
    assert [image.shape for image in images] == [(5, 16, 3), (8, 8, 3), (10, 16, 3)]
    assert len(sample_images(open_pictures(tmp_path), PLAIN, most=2)) == 2


# --- the judges -----------------------------------------------------------------------------------


def class_scores(rows: Sequence[Sequence[float]]) -> np.ndarray:
    answers = iter(np.array(rows, np.float32))
    place = Placement(1.0, 1.0, 0, 0, 8, 8)

    def answer(image: np.ndarray) -> tuple[Mapping[str, Array], Placement]:
        return {"p": next(answers)[None]}, place

    return ClassJudge(CLASSES).scores(answer, pictures(len(rows)))


def test_a_classifier_that_always_says_the_same_is_sure_of_nothing() -> None:
    assert class_scores([[0.99, 0.01], [0.99, 0.01]]) == pytest.approx([0, 0], abs=1e-9)


def test_a_classifier_is_surer_the_more_it_tells_pictures_apart() -> None:
    # Two sure and opposite answers carry one bit, ln 2 = 0.693, and their best chance is 1.
    assert class_scores([[1, 0], [0, 1]]) == pytest.approx([np.log(2)] * 2, abs=1e-6)
    assert class_scores([[0.7, 0.3], [0.3, 0.7]]).mean() < 0.1


def test_a_classifier_that_answers_nan_scores_nothing() -> None:
    assert class_scores([[np.nan, np.nan], [1, 0]])[0] == 0


def box(*xyxy: float, score: float = 0.8, kind: int = 1) -> Detections:
    return Detections(
        np.array([xyxy], np.float32), np.array([score], np.float32), np.array([kind], np.int64)
    )


def test_a_box_counts_when_its_mirror_image_is_found_too() -> None:
    left, right = box(0.1, 0.2, 0.3, 0.6), box(0.7, 0.2, 0.9, 0.6, score=0.5)
    assert confirmed(left, mirrored(right)) == pytest.approx(0.5 / BEST_BOXES)
    assert confirmed(left, right) == 0
    assert confirmed(left, mirrored(box(0.7, 0.2, 0.9, 0.6, kind=2))) == 0
    assert confirmed(left, Detections.empty()) == 0


@dataclass
class BoxDecoder:
    """Reads boxes that a runner gives as they are, in the picture's pixels."""

    task: str = "detect"

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        rows = outputs["boxes"]
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(outputs)


@dataclass
class BrightestPlace:
    """A detector that finds the brightest column, the surer the nearer the input's top is."""

    span: float
    whole_frame: bool = False
    """Far from its values it finds the whole frame, and surely."""
    runs: int = field(default=0)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        (tensor,) = feeds.values()
        ratio = max(float(tensor.max()), 1e-9) / self.span
        fit = min(ratio, 1 / ratio)
        if ratio > 2 and self.whole_frame:
            return {"boxes": np.array([[0, 0, 8, 8, 0.99, 0]], np.float32)}
        place = float(tensor[0].sum(axis=(0, 1)).argmax())
        return {"boxes": np.array([[place, 0, place + 1, 8, 0.9 * fit, 0]], np.float32)}


@pytest.mark.parametrize("whole_frame", [False, True])
def test_a_forgotten_division_by_255_is_found_for_a_detector(whole_frame: bool) -> None:
    images, decoder = pictures(20), BoxDecoder()
    right = replace(PLAIN, scale=1 / 255)
    model = BrightestPlace(1.0, whole_frame)
    wrong = compare_preprocessing(model, "x", PLAIN, images, decoder=decoder)  # type: ignore[arg-type]
    assert found_by(wrong) == ["preprocessing-range"]
    good = compare_preprocessing(model, "x", right, images, decoder=decoder)  # type: ignore[arg-type]
    assert found_by(good) == []


def test_hopeless_variations_cost_few_runs() -> None:
    model = BrightestPlace(255.0)
    check = compare_preprocessing(model, "x", PLAIN, pictures(100), decoder=BoxDecoder())  # type: ignore[arg-type]
    counts = {trial.title: trial.pictures for trial in check.trials}
    assert counts["pixel values 0..1 (scale 1/255)"] == SCREEN
    assert max(counts.values()) <= MOST
    assert model.runs < 2 * len(counts) * MOST


def test_without_a_decoder_nothing_is_claimed() -> None:
    check = compare_preprocessing(BrightestPlace(1.0), "x", PLAIN, pictures(9))
    assert check.trials == ()
    assert "no decoder" in check.note
    checkup = examine(calibrated(preprocessing=check))
    assert checkup.findings == ()
    assert any("no decoder" in text for text in checkup.unknown)


# --- the first layer's own memory -----------------------------------------------------------------


def normed(right: Preprocess, images: Sequence[np.ndarray]) -> Model:
    """Conv and BatchNormalization whose running statistics are those of `images`, by numpy."""
    rng = np.random.default_rng(7)
    weight = rng.normal(0, 1, (4, 3, 1, 1)).astype(np.float32)
    inputs = np.concatenate([right(image)[0] for image in images])
    values = np.einsum("oc,nchw->onhw", weight[:, :, 0, 0], inputs).reshape(4, -1)
    constants = {
        "w": weight,
        "scale": np.ones(4, np.float32),
        "bias": np.zeros(4, np.float32),
        "mean": values.mean(axis=1).astype(np.float32),
        "var": values.var(axis=1).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["y"], "bn"),
    ]
    return Model.of(make_model(nodes, constants, {"x": [1, 3, 8, 8]}, ["y"]))


def deviations(right: Preprocess, given: Preprocess) -> PreprocessCheck:
    model = normed(right, pictures(40, seed=100))
    norm = first_norm(model)
    assert norm is not None
    assert (norm.node, norm.tensor) == ("bn", "c")
    with opened(load_backend("reference"), with_outputs(model, [norm.tensor])) as session:
        return compare_preprocessing(session, "x", given, pictures(16), norm=norm)


@pytest.mark.parametrize(
    "given",
    [PLAIN, replace(PLAIN, scale=1 / 255), replace(PLAIN, mean=(127.5,) * 3, std=(127.5,) * 3)],
)
def test_other_values_than_the_batch_normalization_saw_are_found(given: Preprocess) -> None:
    right = Preprocess(
        8, 8, "stretch", "rgb", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    assert found_by(deviations(right, given)) == ["preprocessing-first-layer"]
    assert found_by(deviations(right, right)) == []
    assert found_by(deviations(given, given)) == []


def test_a_model_without_batch_normalization_has_nothing_to_compare_with() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv")]
    weight = np.ones((4, 3, 1, 1), np.float32)
    model = Model.of(make_model(nodes, {"w": weight}, {"x": [1, 3, 8, 8]}, ["y"]))
    assert first_norm(model) is None


# --- real models ----------------------------------------------------------------------------------

ASSETS = Path(os.environ.get("EDGESDK_ASSETS", "../shared/assets"))


def check_of(name: str, data: str, count: int, **changes: object) -> list[str]:
    """Findings for a model of the zoo whose preprocessing was spoiled by `changes`."""
    entry = load_entry(name)
    model, source = ASSETS / "models" / entry.file, ASSETS / "data" / data
    if not model.is_file() or not Path(str(source).partition("#")[0]).is_file():
        pytest.skip(f"needs the assets ({entry.file}, {data}): set EDGESDK_ASSETS")
    good = entry.spec.preprocess
    given = swapped(good) if changes.pop("swap", False) else good
    given = replace(given, **changes)  # type: ignore[arg-type]
    read = read_model(model)
    prepared = prepare(read, 17, {read.inputs[0].name: (1, 3, good.height, good.width)})
    images = [picture.image for picture in open_pictures(str(source)).thinned(count)]
    decoder = judging_decoder(entry.spec.decoder, given)
    with opened(load_backend("onnxruntime", threads=1), prepared) as session:
        check = compare_preprocessing(session, read.inputs[0].name, given, images, decoder=decoder)
    return found_by(check)


RAW = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
DIVIDED = {**RAW, "scale": 1 / 255}
TWICE = {**RAW, "scale": 1 / 255**2}
RANGE, COLOR = ["preprocessing-range"], ["preprocessing-color"]
FEW, MANY = 12, 64
"""Pictures that show wrong values, and those that it takes to tell colours."""


@pytest.mark.parametrize(
    ("changes", "count", "found"),
    [
        ({}, MANY, []),
        (RAW, FEW, RANGE),
        (TWICE, FEW, RANGE),
        ({"swap": True}, MANY, COLOR),
        ({"resize": "stretch", "short_side": 0}, FEW, []),  # not found: the model does not mind
    ],
)
def test_efficientnet_lite0(changes: dict[str, object], count: int, found: list[str]) -> None:
    assert check_of("efficientnet-lite0", "imagenet500.tar", count, **changes) == found


@pytest.mark.parametrize(
    ("changes", "found"), [({}, []), (RAW, RANGE), (DIVIDED, RANGE), (TWICE, RANGE)]
)
def test_resnet20(changes: dict[str, object], found: list[str]) -> None:
    assert check_of("resnet20-cifar10", "cifar10_5000.npz", MANY, **changes) == found


@pytest.mark.parametrize(("changes", "found"), [({}, []), (DIVIDED, RANGE)])
def test_yolox_nano(changes: dict[str, object], found: list[str]) -> None:
    assert check_of("yolox-nano", "coco192.tar#train2017", FEW, **changes) == found
