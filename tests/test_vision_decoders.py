"""A model's raw outputs become boxes and classes; a foreign head is refused."""

from __future__ import annotations

import dataclasses
import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.detections import Detections
from edgesdk.errors import ConfigError, ModelError, UnknownName
from edgesdk.frames import Frame
from edgesdk.geometry import Placement
from edgesdk.pipeline import detect_stages
from edgesdk.pipeline.packet import Packet
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision import decoders
from edgesdk.vision.classification import Classification
from edgesdk.vision.decoders import decoder_types, make_decoder
from edgesdk.vision.detector import Detector

WIDTH, HEIGHT = 96, 64
PRE = Preprocess(WIDTH, HEIGHT, resize="stretch", color="bgr")
SAME = Placement(1.0, 1.0, 0.0, 0.0, WIDTH, HEIGHT)
CELLS = {8: (12, 8), 16: (6, 4), 32: (3, 2)}
"""Stride -> cells across and down of a 96 x 64 input, by hand."""
ROWS = 96 + 24 + 6


def decoded(table: dict[str, Any], outputs: dict[str, Array]) -> Detections:
    result = make_decoder(table, "spec.toml", PRE).decode(outputs, SAME)
    assert isinstance(result, Detections)
    return result


def yolox_row(stride: int, gx: int, gy: int) -> int:
    before = {8: 0, 16: 96, 32: 120}[stride]
    return before + gy * CELLS[stride][0] + gx


@given(
    st.sampled_from([8, 16, 32]),
    st.data(),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(-1, 1.2),
    st.floats(-1, 1.2),
)
def test_yolox_finds_the_box_that_the_paper_says(
    stride: int, data: st.DataObject, x: float, y: float, log_w: float, log_h: float
) -> None:
    across, down = CELLS[stride]
    gx, gy = data.draw(st.integers(0, across - 1)), data.draw(st.integers(0, down - 1))
    output = np.zeros((1, ROWS, 5 + 3), np.float32)
    output[0, yolox_row(stride, gx, gy)] = [x, y, log_w, log_h, 0.8, 0.1, 0.2, 0.9]
    found = decoded({"type": "yolox"}, {"output": output})
    cx, cy = (x + gx) * stride, (y + gy) * stride
    w, h = math.exp(log_w) * stride, math.exp(log_h) * stride
    expected = [
        min(max(value, 0), limit)
        for value, limit in zip(
            [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], [WIDTH, HEIGHT] * 2, strict=True
        )
    ]
    if expected[0] < expected[2] and expected[1] < expected[3]:
        assert found.class_id.tolist() == [2]
        assert found.score == pytest.approx([0.72])
        # float32 at up to 96 px.
        assert found.xyxy[0] == pytest.approx(expected, abs=1e-4)


def test_yolox_survives_absurd_sizes_as_a_broken_quantization_gives_them() -> None:
    output = np.zeros((1, ROWS, 6), np.float32)
    output[0, 5] = [0, 0, 3e4, 3e4, 1, 1]
    output[0, 7] = [0, 0, np.nan, 1, 1, 1]
    assert len(decoded({"type": "yolox"}, {"output": output})) == 1


def test_yolox_takes_half_precision() -> None:
    output = np.zeros((1, ROWS, 6), np.float16)
    output[0, yolox_row(16, 2, 1)] = [0.5, 0.5, 0, 0, 1, 1]
    found = decoded({"type": "yolox"}, {"output": output})
    assert found.xyxy.dtype == np.float32
    assert found.xyxy.tolist() == [[32, 16, 48, 32]]


def yolov8_head(rows: dict[int, list[float]], classes: int = 3) -> dict[str, Array]:
    """An output of zeros with these columns: cx, cy, w, h, then the classes."""
    head = np.zeros((1, 4 + classes, ROWS), np.float32)
    for column, values in rows.items():
        head[0, :, column] = values
    return {"output0": head}


def test_yolov8_reads_boxes_from_columns_and_the_best_class_of_each() -> None:
    head = yolov8_head(
        {
            7: [30, 20, 10, 8, 0.1, 0.2, 0.9],
            100: [60, 40, 20, 30, 0.5, 0.4, 0.1],
            125: [10, 10, 5, 5, 0.1, 0.2, 0.29],
        }
    )
    found = decoded({"type": "yolov8"}, head)
    # By hand: centre and half a size each way; the third is below 0.3.
    assert found.xyxy.tolist() == [[25, 16, 35, 24], [50, 25, 70, 55]]
    assert found.class_id.tolist() == [2, 0]
    assert found.score == pytest.approx([0.9, 0.5])


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 60))
def test_yolov8_finds_what_a_look_at_every_box_finds(seed: int, classes: int, count: int) -> None:
    make = np.random.default_rng(seed)
    head = np.zeros((1, 4 + classes, ROWS), np.float32)
    head[0, :2], head[0, 2:4] = make.uniform(0, 60, (2, ROWS)), make.uniform(1, 30, (2, ROWS))
    head[0, 4:] = make.uniform(0, 0.3, (classes, ROWS))
    at = make.choice(ROWS, count, replace=False)
    head[0, 4 + make.integers(0, classes, count), at] = make.uniform(0.2, 1, count)
    settings = {"iou_threshold": 1.0, "max_detections": ROWS, "score_threshold": 0.25}
    found = decoded({"type": "yolov8", **settings}, {"output0": head})
    expected = []
    for cx, cy, w, h, *scores in head[0].T.tolist():
        left, right = max(cx - w / 2, 0), min(cx + w / 2, WIDTH)
        top, bottom = max(cy - h / 2, 0), min(cy + h / 2, HEIGHT)
        if max(scores) >= 0.25:
            expected.append((max(scores), scores.index(max(scores)), left, top, right, bottom))
    expected.sort(key=lambda row: -row[0])
    assert found.class_id.tolist() == [row[1] for row in expected]
    assert found.score.tolist() == [row[0] for row in expected]
    np.testing.assert_allclose(
        found.xyxy, np.reshape([row[2:] for row in expected], (-1, 4)), atol=1e-4
    )


def test_yolov8_takes_half_precision_and_survives_what_is_not_a_number() -> None:
    head = yolov8_head(
        {
            3: [30, 20, 10, 8, 0.1, 0.2, 0.9],
            4: [60, 40, 20, 30, np.nan, np.nan, np.nan],
            5: [60, np.inf, 20, 30, 0.9, 0, 0],
        }
    )
    half = {"output0": head["output0"].astype(np.float16)}
    for outputs in (head, half):
        found = decoded({"type": "yolov8"}, outputs)
        assert found.xyxy.tolist() == [[25, 16, 35, 24]]
        assert found.xyxy.dtype == np.float32


def nanodet_outputs() -> dict[str, Array]:
    outputs: dict[str, Array] = {}
    for stride, (across, down) in CELLS.items():
        outputs[f"cls_pred_stride_{stride}"] = np.zeros((1, across * down, 3), np.float32)
        outputs[f"dis_pred_stride_{stride}"] = np.zeros((1, across * down, 32), np.float32)
    return outputs


@pytest.mark.parametrize(("stride", "gx", "gy"), [(8, 5, 4), (16, 3, 2), (32, 1, 1)])
def test_nanodet_measures_from_the_cells_centre_in_strides(stride: int, gx: int, gy: int) -> None:
    outputs = nanodet_outputs()
    row = gy * CELLS[stride][0] + gx
    outputs[f"cls_pred_stride_{stride}"][0, row] = [0.1, 0.7, 0.2]
    # All weight on one bin for each side: left 1, top 0, right 1, bottom 0 strides away, and
    # half on bins 0 and 1 for the bottom.
    bins = np.full((4, 8), -50.0, np.float32)
    for side, at in enumerate([(1,), (0,), (1,), (0, 1)]):
        bins[side, list(at)] = 20.0
    outputs[f"dis_pred_stride_{stride}"][0, row] = bins.ravel()
    found = decoded({"type": "nanodet"}, outputs)
    cx, cy = gx * stride + (stride - 1) / 2, gy * stride + (stride - 1) / 2
    assert found.class_id.tolist() == [1]
    assert found.score == pytest.approx([0.7])
    assert found.xyxy[0] == pytest.approx([cx - stride, cy, cx + stride, cy + stride / 2])


def test_nanodet_without_any_object_finds_nothing() -> None:
    assert len(decoded({"type": "nanodet"}, nanodet_outputs())) == 0


def classified(table: dict[str, Any], values: list[float]) -> Classification:
    outputs = {"logits": np.array([values], np.float32)}
    result = make_decoder(table, "spec.toml", PRE).decode(outputs, SAME)
    assert isinstance(result, Classification)
    return result


def test_classes_gives_probabilities_from_logits() -> None:
    # softmax of log 1, log 3, log 4 is 1/8, 3/8, 4/8; a shift changes nothing, nor overflows.
    for shift in (0, 1000):
        logits = [math.log(1) + shift, math.log(3) + shift, math.log(4) + shift]
        # float32 holds 1000.x to 6e-5.
        found = classified({"type": "classes"}, logits)
        assert found.scores == pytest.approx([0.125, 0.375, 0.5], abs=1e-4)
        assert found.top(2).tolist() == [2, 1]


def test_classes_divides_logits_by_the_temperature() -> None:
    # 2 ln 3 against 0 at temperature 2 are odds of 3 to 1.
    found = classified({"type": "classes", "temperature": 2.0}, [2 * math.log(3), 0.0])
    assert found.scores == pytest.approx([0.75, 0.25], abs=1e-6)


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=6), st.floats(0.1, 10))
def test_a_temperature_changes_no_order(logits: list[float], temperature: float) -> None:
    scores = classified({"type": "classes", "temperature": temperature}, logits).scores
    assert scores[int(np.argmax(logits))] == scores.max()
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_classes_says_the_same_by_place() -> None:
    table = {"type": "classes", "temperature": 2.0, "heat": "heat"}
    heat = np.zeros((1, 2, 2, 3), np.float32)
    heat[0, 0, 1, 2] = 2 * math.log(3)
    outputs: dict[str, Array] = {"logits": np.array([[2 * math.log(3), 0]]), "heat": heat}
    found = make_decoder(table, "spec.toml", PRE).decode(outputs, SAME)
    assert isinstance(found, Classification)
    assert found.scores == pytest.approx([0.75, 0.25])
    assert found.heat is not None
    assert found.heat[0] == pytest.approx(np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.75]]))
    assert found.heat[1] == pytest.approx(1 - found.heat[0])
    heat[:] = 9  # nothing of the outputs is kept
    assert found.heat[0, 0, 0] == 0.5


def test_classes_refuses_a_heat_map_of_other_classes_and_a_temperature_that_is_none() -> None:
    outputs: dict[str, Array] = {"logits": np.zeros((1, 2)), "heat": np.zeros((1, 3, 4, 4))}
    decoder = make_decoder({"type": "classes", "heat": "heat"}, "spec.toml", PRE)
    with pytest.raises(ModelError, match=r"output 'heat' should have shape 1x2x\?x\?"):
        decoder.decode(outputs, SAME)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="temperature should be a number above 0"):
            make_decoder({"type": "classes", "temperature": wrong}, "spec.toml", PRE)
    with pytest.raises(ConfigError, match="needs softmax"):
        make_decoder({"type": "classes", "temperature": 2.0, "softmax": False}, "spec.toml", PRE)


def test_classes_takes_probabilities_as_they_are() -> None:
    found = classified({"type": "classes", "softmax": False}, [0.2, 0.7, 0.1])
    assert found.scores == pytest.approx([0.2, 0.7, 0.1])


def test_the_top_of_equal_scores_is_the_lower_index() -> None:
    assert Classification(np.array([0.1, 0.4, 0.4, 0.1], np.float32)).top(3).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("table", "outputs", "says"),
    [
        ({"type": "yolox"}, {"output": (1, 100, 85)}, ["1x126x?", "output 1x100x85"]),
        ({"type": "yolox"}, {"output": (1, ROWS, 5)}, ["5 + C", "found 5"]),
        ({"type": "yolox"}, {"a": (1, 9), "b": (2, 3)}, ["exactly one", "a 1x9, b 2x3"]),
        ({"type": "yolox", "output": "y"}, {"x": (1, ROWS, 8)}, ["named 'y'", "x 1x126x8"]),
        ({"type": "yolov8"}, {"output": (1, ROWS, 84)}, ["1x?x126", "output 1x126x84"]),
        ({"type": "yolov8"}, {"output": (1, 4, ROWS)}, ["4 + C", "found 4"]),
        ({"type": "nanodet"}, {"output": (1, ROWS, 8)}, ["cls_pred_stride_8", "1x126x8"]),
        ({"type": "classes"}, {"logits": (2, 10)}, ["1x?", "2x10"]),
        ({"type": "classes"}, {}, ["exactly one output", "none"]),
    ],
)
def test_outputs_of_another_head_are_refused_with_what_came(
    table: dict[str, Any], outputs: dict[str, tuple[int, ...]], says: list[str]
) -> None:
    made = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    with pytest.raises(ModelError) as caught:
        make_decoder(table, "spec.toml", PRE).decode(made, SAME)
    assert all(text in caught.value.message for text in says), caught.value.message


def test_a_distance_map_that_is_not_four_sides_is_refused() -> None:
    outputs = nanodet_outputs()
    outputs["dis_pred_stride_8"] = np.zeros((1, 96, 30), np.float32)
    with pytest.raises(ModelError, match="found 30"):
        make_decoder({"type": "nanodet"}, "spec.toml", PRE).decode(outputs, SAME)


def test_an_unknown_type_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean yolox"):
        make_decoder({"type": "yolo-x"}, "spec.toml", PRE)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "needs a key 'type'"),
        ({"type": 7}, "needs a key 'type'"),
        ({"type": "yolox", "score_treshold": 0.5}, "did you mean 'score_threshold'"),
        ({"type": "yolox", "score_threshold": 7}, "should be 0..1, found 7"),
        ({"type": "classes", "softmax": "yes"}, "true or false"),
    ],
)
def test_a_wrong_key_is_named_with_the_file(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_decoder(table, "spec.toml", PRE)
    assert "spec.toml" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("kind", decoder_types())
def test_every_file_in_the_folder_is_a_decoder(kind: str) -> None:
    module = importlib.import_module(f"edgesdk.vision.decoders.{kind}")
    assert dataclasses.is_dataclass(module.Settings)
    assert make_decoder({"type": kind}, "spec.toml", PRE).task in (
        "detect",
        "classify",
        "inspect",
    )


def test_a_new_decoder_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(decoders.__file__).with_name("classes.py").read_text()
    (tmp_path / "mine.py").write_text(own)
    monkeypatch.setattr(decoders, "__path__", [*decoders.__path__, str(tmp_path)])
    assert "mine" in decoder_types()
    assert make_decoder({"type": "mine", "softmax": False}, "spec.toml", PRE).task == "classify"


class StubRunner:
    """Says that there is one box in the middle, and remembers what it was asked."""

    def __init__(self) -> None:
        self.feeds: dict[str, Array] = {}

    def run(self, feeds: Any) -> dict[str, Array]:
        self.feeds = dict(feeds)
        output = np.zeros((1, ROWS, 6), np.float32)
        output[0, yolox_row(32, 1, 1)] = [0.5, 0, 0, 0, 1, 0.9]
        return {"output": output}


def test_a_detector_gives_boxes_and_its_steps_can_be_called_apart() -> None:
    runner = StubRunner()
    decoder = make_decoder({"type": "yolox"}, "spec.toml", PRE)
    assert decoder.task == "detect"
    detector = Detector(PRE, runner, "images", decoder)
    image = np.full((2 * HEIGHT, 2 * WIDTH, 3), 7, np.uint8)
    found = detector(image)
    # Centre (1.5, 1) * 32 = (48, 32), 32 x 32, in a picture twice as large.
    assert found.xyxy.tolist() == [[64, 32, 128, 96]]
    fed: Floats = runner.feeds["images"]
    assert fed.shape == (1, 3, HEIGHT, WIDTH)
    assert (fed == 7).all()
    tensor, placement = detector.prepare(image)
    apart = detector.decode(detector.infer(tensor), placement)
    assert apart.xyxy.tolist() == found.xyxy.tolist()


class StubPictures:
    """Takes pictures as they are, as a session with its own preprocessing does."""

    def run_picture(self, image: np.ndarray) -> tuple[dict[str, Array], Placement]:
        height, width = image.shape[:2]
        return StubRunner().run({}), PRE.placement(width, height)


def test_a_runner_that_takes_pictures_gets_them_as_they_are_in_one_stage() -> None:
    decoder = make_decoder({"type": "yolox"}, "spec.toml", PRE)
    assert decoder.task == "detect"
    runner = StubRunner()
    detector = Detector(PRE, runner, "images", decoder, StubPictures())
    image = np.full((2 * HEIGHT, 2 * WIDTH, 3), 7, np.uint8)
    assert detector(image).xyxy.tolist() == [[64, 32, 128, 96]]
    stages = detect_stages(detector)
    assert [stage.name for stage in stages] == ["preprocess + inference", "decode"]
    packet = Packet(Frame(image, 0, 0, 0))
    for stage in stages:
        packet = stage(packet)
    assert packet.detections.xyxy.tolist() == [[64, 32, 128, 96]]
    assert runner.feeds == {}, "nothing was preprocessed on the CPU"
