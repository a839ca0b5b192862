"""Heads of other families than YOLOX and YOLOv8, by hand: what each number of an output means."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk._config import read_toml
from edgesdk.detections import Detections
from edgesdk.errors import ConfigError, ModelError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.decoders import make_decoder, types_that_fit
from edgesdk.vision.detector import Detector

WIDTH, HEIGHT = 96, 64
PRE = Preprocess(WIDTH, HEIGHT, resize="stretch", color="bgr")
SAME = Placement(1.0, 1.0, 0.0, 0.0, WIDTH, HEIGHT)
CELLS = {8: (12, 8), 16: (6, 4), 32: (3, 2), 64: (2, 1)}
"""Stride -> cells across and down of a 96 x 64 input, by hand; a cut cell counts."""


def decoded(table: dict[str, Any], outputs: dict[str, Array]) -> Detections:
    result = make_decoder(table, "spec.toml", PRE).decode(outputs, SAME)
    assert isinstance(result, Detections)
    return result


def array(rows: Any) -> Array:
    return np.array(rows, np.float32)


# YOLOv5: boxes decoded, objectness, classes.

ANCHORED = 3 * (96 + 24 + 6)


def test_yolov5_multiplies_objectness_and_class() -> None:
    output = np.zeros((1, ANCHORED, 5 + 3), np.float32)
    output[0, 7] = [30, 20, 10, 8, 0.8, 0.1, 0.2, 0.9]
    output[0, 300] = [60, 40, 20, 30, 0.5, 0.9, 0.4, 0.1]
    output[0, 301] = [20, 40, 20, 30, 0.9, 0.3, 0.2, 0.1]  # 0.27: below 0.3
    for dtype in (np.float32, np.float16):
        found = decoded({"type": "yolov5"}, {"output0": output.astype(dtype)})
        assert found.xyxy.tolist() == [[25, 16, 35, 24], [50, 25, 70, 55]]
        assert found.class_id.tolist() == [2, 0]
        assert found.score == pytest.approx([0.72, 0.45], abs=1e-3)


def test_a_head_without_anchors_has_one_box_for_each_cell() -> None:
    output = np.zeros((1, 126, 6), np.float32)
    output[0, 5] = [30, 20, 10, 8, 0.8, 0.9]
    assert len(decoded({"type": "yolov5", "anchors": 1}, {"output": output})) == 1


# Suppression inside the graph.


def test_rows_of_zeros_that_fill_up_an_output_are_no_boxes() -> None:
    rows = [[10, 5, 40, 30, 0.6, 1], [12, 8, 20, 18, 0.9, 0], [0, 0, 0, 0, 0, 0]]
    found = decoded({"type": "end2end"}, {"output0": array([rows])})
    assert found.xyxy.tolist() == [[12, 8, 20, 18], [10, 5, 40, 30]]
    assert found.class_id.tolist() == [0, 1]
    assert found.score == pytest.approx([0.9, 0.6])


def test_boxes_that_overlap_stay_because_the_graph_has_chosen_them() -> None:
    rows = [[10, 5, 40, 30, 0.6, 1], [10, 5, 40, 31, 0.9, 1]]
    assert len(decoded({"type": "end2end"}, {"output0": array([rows])})) == 2


def test_an_output_of_no_boxes_at_all_finds_nothing() -> None:
    empty = np.zeros((1, 0, 6), np.float32)
    assert len(decoded({"type": "end2end"}, {"output0": empty})) == 0


def test_the_most_boxes_asked_for_are_the_best() -> None:
    rows = [[10 * i, 5, 10 * i + 8, 30, 0.5 + 0.05 * i, i] for i in range(6)]
    found = decoded({"type": "end2end", "max_detections": 2}, {"output0": array([rows])})
    assert found.class_id.tolist() == [5, 4]


def test_yolov7_puts_the_picture_first_and_the_class_before_the_score() -> None:
    output = array([[0, 10, 5, 40, 30, 2, 0.6]])
    found = decoded({"type": "end2end", "columns": "batch xyxy class score"}, {"output": output})
    assert (found.class_id.tolist(), found.xyxy.tolist()) == ([2], [[10, 5, 40, 30]])
    assert found.score == pytest.approx([0.6])


def efficient(**changed: Array) -> dict[str, Array]:
    outputs: dict[str, Array] = {
        "num_dets": np.array([[2]], np.int32),
        "det_boxes": array([[[10, 5, 40, 30], [12, 8, 20, 18], [50, 5, 60, 9]]]),
        "det_scores": array([[0.9, 0.6, 0.8]]),
        "det_classes": np.array([[4, 0, 9]], np.int32),
    }
    return outputs | changed


def test_only_as_many_boxes_count_as_the_graph_says() -> None:
    found = decoded({"type": "efficientnms"}, efficient())
    assert found.xyxy.tolist() == [[10, 5, 40, 30], [12, 8, 20, 18]]
    assert found.class_id.tolist() == [4, 0]


def test_tensorflows_boxes_begin_with_y_are_shares_and_count_classes_from_one() -> None:
    outputs = {
        "num_detections": array([1]),
        "detection_boxes": array([[[0.25, 0.5, 0.75, 1.0], [0, 0, 0, 0]]]),
        "detection_scores": array([[0.9, 0.9]]),
        "detection_classes": array([[3.0, 1.0]]),
    }
    table = {"type": "efficientnms", "box_form": "yxyx", "normalized": True, "first_class": 1}
    found = decoded(table, outputs)
    # y .25 to .75 of 64, x .5 to 1 of 96.
    assert found.xyxy.tolist() == [[48, 16, 96, 48]]
    assert found.class_id.tolist() == [2]


def test_labels_boxes_and_scores_without_a_count_are_taken_whole() -> None:
    outputs = {
        "labels": np.array([7, 0], np.int64),
        "boxes": array([[10, 5, 40, 30], [12, 8, 20, 18]]),
        "scores": array([0.5, 0.7]),
    }
    found = decoded({"type": "efficientnms"}, outputs)
    assert found.class_id.tolist() == [0, 7]
    named = {"a": outputs["labels"], "b": outputs["boxes"], "c": outputs["scores"]}
    table = {"type": "efficientnms", "classes": "a", "boxes": "b", "scores": "c"}
    assert decoded(table, named).xyxy.tolist() == found.xyxy.tolist()


# SSD: boxes and class scores apart, with or without default boxes.


def test_ssd_leaves_the_background_out_of_the_classes() -> None:
    boxes = array([[[0.25, 0.5, 0.5, 0.75], [0, 0, 0.5, 0.5], [0, 0, 0.1, 0.1]]])
    scores = array([[[0.1, 0.1, 0.8], [0.3, 0.6, 0.1], [0.9, 0.05, 0.05]]])
    found = decoded({"type": "ssd"}, {"scores": scores, "boxes": boxes})
    assert found.xyxy.tolist() == [[24, 32, 48, 48], [0, 0, 48, 32]]
    assert found.class_id.tolist() == [1, 0]
    assert found.score == pytest.approx([0.8, 0.6])
    last = decoded({"type": "ssd", "background": "last"}, {"scores": scores, "boxes": boxes})
    assert last.class_id.tolist() == [0, 1]
    none = decoded({"type": "ssd", "background": "none"}, {"scores": scores, "boxes": boxes})
    assert none.class_id.tolist() == [0, 2, 1]


@pytest.mark.parametrize("background", ["first", "last", "none"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.05, 0.3, 0.8]))
def test_ssd_makes_scores_of_logits(
    background: str, activation: str, seed: int, threshold: float
) -> None:
    make = np.random.default_rng(seed)
    count = int(make.integers(1, 40))
    logits = make.normal(0, 3, (1, count, 4)).astype(np.float32)
    boxes = np.tile(array([0.1, 0.1, 0.9, 0.9]), (1, count, 1))
    table = {
        "type": "ssd",
        "activation": activation,
        "background": background,
        "score_threshold": threshold,
        "iou_threshold": 1.0,
    }
    outputs = {"b": boxes, "c": logits}
    found = decoded(table | {"boxes": "b", "scores": "c"}, outputs)
    expected = []
    for row in logits[0].astype(np.float64):
        if activation == "softmax":
            scores = [math.exp(x) / sum(math.exp(y) for y in row) for x in row]
        else:
            scores = [1 / (1 + math.exp(-x)) for x in row]
        scores = {"first": scores[1:], "last": scores[:-1], "none": scores}[background]
        if abs(max(scores) - threshold) < 1e-6:
            return  # float32 may see it on the other side
        if max(scores) >= threshold:
            expected.append((scores.index(max(scores)), max(scores)))
    expected.sort(key=lambda pair: -pair[1])
    assert found.score == pytest.approx([score for _, score in expected], abs=1e-5)
    assert sorted(found.class_id.tolist()) == sorted(kind for kind, _ in expected)


PRIORS = {"steps": [32], "sizes": [20, 40], "ratios": [[4]]}
"""3 x 2 cells with four default boxes each."""


def ssd_offsets(row: int, offsets: list[float]) -> dict[str, Array]:
    boxes, scores = np.zeros((1, 24, 4), np.float32), np.zeros((1, 24, 2), np.float32)
    boxes[0, row], scores[0, row] = offsets, [0.1, 0.9]
    return {"boxes": boxes, "scores": scores}


@pytest.mark.parametrize(
    ("row", "size"),
    [
        (0, (20, 20)),
        (1, (math.sqrt(20 * 40), math.sqrt(20 * 40))),
        (2, (40, 10)),
        (3, (10, 40)),
    ],
)
def test_ssd_default_boxes_are_a_square_a_larger_one_and_two_of_each_ratio(
    row: int, size: tuple[float, float]
) -> None:
    width, height = size
    # The second cell of the first row: its centre is (1.5, 0.5) * 32.
    found = decoded({"type": "ssd", "priors": PRIORS}, ssd_offsets(4 + row, [0, 0, 0, 0]))
    x, y = 48, 16
    expected = [x - width / 2, max(y - height / 2, 0), x + width / 2, y + height / 2]
    assert found.xyxy[0] == pytest.approx(expected, abs=1e-4)


def test_ssd_offsets_are_shares_of_the_default_box_times_the_variances() -> None:
    found = decoded({"type": "ssd", "priors": PRIORS}, ssd_offsets(4, [5, -2, 1, -1]))
    x, y = 48 + 5 * 0.1 * 20, 16 - 2 * 0.1 * 20
    half = 10 * math.exp(0.2), 10 * math.exp(-0.2)
    expected = [x - half[0], y - half[1], x + half[0], y + half[1]]
    assert found.xyxy[0] == pytest.approx(expected, abs=1e-4)
    absurd = decoded({"type": "ssd", "priors": PRIORS}, ssd_offsets(4, [0, 0, 1e6, 1e6]))
    assert absurd.xyxy.tolist() == [[0, 0, WIDTH, HEIGHT]]


# DETRs.


def test_rt_detr_of_one_output_has_shares_of_the_input_and_ready_scores() -> None:
    rows = [[0.5, 0.5, 0.25, 0.5, 0.1, 0.8], [0.25, 0.25, 0.5, 0.5, 0.2, 0.1]]
    found = decoded({"type": "rtdetr"}, {"output0": array([rows])})
    # cx 48, cy 32, 24 wide, 32 high.
    assert found.xyxy.tolist() == [[36, 16, 60, 48]]
    assert found.class_id.tolist() == [1]


def test_rt_detr_of_two_outputs_has_logits() -> None:
    boxes = array([[[0.5, 0.5, 0.25, 0.5], [0.25, 0.25, 0.5, 0.5]]])
    logits = array([[[0, 3, -2], [-5, -5, -5]]])
    outputs = {"logits": logits, "pred_boxes": boxes}
    found = decoded({"type": "rtdetr"}, outputs)
    assert found.score == pytest.approx([1 / (1 + math.exp(-3))])
    assert found.class_id.tolist() == [1]
    # DETR: softmax, and the last class is "no object".
    detr = decoded({"type": "rtdetr", "activation": "softmax"}, outputs)
    total = math.exp(0) + math.exp(3) + math.exp(-2)
    assert detr.score == pytest.approx([math.exp(3) / total, 1 / 3])
    assert detr.class_id.tolist() == [1, 0]


def test_logits_that_no_exp_can_take_are_scores_all_the_same() -> None:
    boxes = np.tile(array([0.5, 0.5, 0.25, 0.5]), (1, 2, 1))
    outputs = {"logits": array([[[1e4, -1e4, 0], [-1e4, -1e4, -1e4]]]), "pred_boxes": boxes}
    for activation in ("sigmoid", "softmax"):
        found = decoded({"type": "rtdetr", "activation": activation}, outputs)
        assert found.score[0] == pytest.approx(1)


# PicoDet and NanoDet-Plus: distances in bins, as NanoDet's.

ONE_STRIDE = np.full((4, 8), -50.0, np.float32)
"""All weight on bin 1: each side is one stride away."""
ONE_STRIDE[:, 1] = 20.0


@pytest.mark.parametrize(("stride", "gx", "gy"), [(8, 5, 4), (16, 3, 2), (32, 1, 1), (64, 0, 0)])
def test_picodet_measures_from_the_middle_of_a_cell(stride: int, gx: int, gy: int) -> None:
    outputs: dict[str, Array] = {}
    for size, (across, down) in CELLS.items():
        outputs[f"transpose_{size}"] = np.zeros((1, across * down, 3), np.float32)
        outputs[f"reshape_{size}"] = np.zeros((1, across * down, 32), np.float32)
    row = gy * CELLS[stride][0] + gx
    outputs[f"transpose_{stride}"][0, row] = [0.1, 0.7, 0.2]
    outputs[f"reshape_{stride}"][0, row] = ONE_STRIDE.ravel()
    found = decoded({"type": "picodet"}, outputs)
    x, y = (gx + 0.5) * stride, (gy + 0.5) * stride
    expected = [x - stride, y - stride, min(x + stride, WIDTH), min(y + stride, HEIGHT)]
    assert found.xyxy[0] == pytest.approx(np.maximum(expected, 0), abs=1e-4)
    assert (found.class_id.tolist(), found.score) == ([1], pytest.approx([0.7]))


@pytest.mark.parametrize(("stride", "gx", "gy"), [(8, 5, 4), (16, 3, 2), (32, 1, 1), (64, 1, 0)])
def test_nanodet_plus_measures_from_the_corner_of_a_cell(stride: int, gx: int, gy: int) -> None:
    output = np.zeros((1, 96 + 24 + 6 + 2, 3 + 32), np.float32)
    row = {8: 0, 16: 96, 32: 120, 64: 126}[stride] + gy * CELLS[stride][0] + gx
    output[0, row] = [0.1, 0.7, 0.2, *ONE_STRIDE.ravel()]
    found = decoded({"type": "nanodet_plus"}, {"output": output})
    x, y = gx * stride, gy * stride
    expected = [x - stride, y - stride, min(x + stride, WIDTH), min(y + stride, HEIGHT)]
    assert found.xyxy[0] == pytest.approx(np.maximum(expected, 0), abs=1e-4)
    assert (found.class_id.tolist(), found.score) == ([1], pytest.approx([0.7]))


# What is not a head of the kind is refused, and what would fit is named.

Shapes = dict[str, tuple[int, ...]]


@pytest.mark.parametrize(
    ("table", "outputs", "says"),
    [
        ({"type": "yolov5"}, {"o": (1, 126, 85)}, ["1x378x?", "o 1x126x85"]),
        ({"type": "yolov5"}, {"o": (1, 378, 5)}, ["5 + C", "found 5"]),
        ({"type": "end2end"}, {"o": (1, 300, 84)}, ["1x?x6", "o 1x300x84"]),
        ({"type": "efficientnms"}, {"boxes": (1, 9, 4), "scores": (1, 9)}, ["classes", "1x9x4"]),
        (
            {"type": "efficientnms"},
            {"boxes": (1, 9, 4), "scores": (1, 8), "labels": (1, 9)},
            ["1xKx4", "scores 1x8"],
        ),
        ({"type": "efficientnms", "boxes": "b"}, {"boxes": (1, 9, 4)}, ["named 'b'"]),
        ({"type": "ssd"}, {"a": (1, 9, 4), "b": (1, 9, 4)}, ["1xNx4", "a 1x9x4, b 1x9x4"]),
        ({"type": "ssd"}, {"a": (1, 9, 4), "b": (1, 8, 3)}, ["1xNx4", "b 1x8x3"]),
        ({"type": "ssd"}, {"a": (1, 9, 4), "b": (1, 9, 1)}, ["beside the background"]),
        (
            {"type": "ssd", "priors": PRIORS},
            {"a": (1, 9, 4), "b": (1, 9, 3)},
            ["24 boxes", "has 9"],
        ),
        ({"type": "rtdetr"}, {"o": (1, 300, 4)}, ["4 + C", "found 4"]),
        ({"type": "rtdetr"}, {"o": (1, 84, 8400)}, ["at most 2000", "1x84x8400"]),
        ({"type": "rtdetr"}, {"o": (1, 8400, 84)}, ["at most 2000", "1x8400x84"]),
        ({"type": "rtdetr"}, {"a": (1, 9, 4), "b": (1, 9)}, ["1xNx4", "b 1x9"]),
        ({"type": "picodet"}, {"o": (1, 96, 3)}, ["1x96xC", "1x96x32", "o 1x96x3"]),
        ({"type": "nanodet_plus"}, {"o": (1, 128, 32)}, ["C + 32", "found 32"]),
    ],
)
def test_outputs_of_another_head_are_refused_with_what_came(
    table: dict[str, Any], outputs: Shapes, says: list[str]
) -> None:
    made = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    with pytest.raises(ModelError) as caught:
        make_decoder(table, "spec.toml", PRE).decode(made, SAME)
    assert all(text in caught.value.message for text in says), caught.value.message


@pytest.mark.parametrize("count", [[9], [-1], [], [1, 2], [math.nan]])
def test_a_count_that_no_output_can_hold_is_refused(count: list[float]) -> None:
    with pytest.raises(ModelError, match="of its 3 boxes count"):
        decoded({"type": "efficientnms"}, efficient(num_dets=array(count)))


def test_what_is_not_a_number_is_no_box() -> None:
    rows = array(
        [[10, 5, 40, 30, 0.9, 1], [math.nan, 5, 40, 30, 0.9, 1], [0, 0, 9, 9, math.nan, 0]]
    )
    assert len(decoded({"type": "end2end"}, {"o": rows[None]})) == 1
    apart = {"boxes": rows[:, :4], "scores": rows[:, 4], "labels": array([1, 1, math.nan])}
    assert len(decoded({"type": "efficientnms"}, apart)) == 1
    pair = {"boxes": rows[None, :, :4] / 100, "logits": rows[None, :, 3:]}
    assert len(decoded({"type": "rtdetr"}, pair)) == 1
    assert len(decoded({"type": "ssd", "activation": "sigmoid"}, pair)) == 1


def test_priors_that_do_not_go_together_are_refused_by_their_numbers() -> None:
    table = {"type": "ssd", "priors": {"steps": [8, 16], "sizes": [20, 40], "ratios": [[2]]}}
    with pytest.raises(ConfigError, match="2 steps need 3 sizes and 2 lists of ratios, found 2"):
        make_decoder(table, "spec.toml", PRE)


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ({"o": (1, 126, 85)}, "yolox"),
        ({"o": (1, 84, 126)}, "yolov8"),
        ({"o": (1, 378, 85)}, "yolov5"),
        ({"o": (1, 300, 6)}, "end2end"),
        ({"o": (1, 300, 84)}, "rtdetr"),
        ({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, "rtdetr"),
        ({"boxes": (1, 3000, 4), "scores": (1, 3000, 21)}, "ssd"),
        ({"boxes": (1, 9, 4), "scores": (1, 9), "labels": (1, 9)}, "efficientnms"),
        ({"o": (1, 128, 112)}, "nanodet_plus"),
        ({"o": (1, 10)}, "classes"),
    ],
)
def test_the_types_that_fit_an_output_are_known(outputs: Shapes, kind: str) -> None:
    made = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    assert kind in types_that_fit(made, PRE)


class YoloV8:
    """Answers as a YOLOv8 model does."""

    def run(self, feeds: Any) -> dict[str, Array]:
        return {"output0": np.zeros((1, 84, 126), np.float32)}


def test_who_names_a_wrong_type_is_told_the_right_one() -> None:
    decoder = make_decoder({"type": "yolox"}, "spec.toml", PRE)
    assert decoder.task == "detect"
    detector = Detector(PRE, YoloV8(), "images", decoder)
    with pytest.raises(ModelError, match="1x126x\\?") as caught:
        detector(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert 'type = "yolov8"' in caught.value.hint


def test_scores_are_compared_in_falling_order_where_rows_change_places() -> None:
    rows = array([[[10, 5, 40, 30, 0.6, 1], [12, 8, 20, 18, 0.9, 0]]])
    table = {"type": "end2end", "max_detections": 4}
    decoder = make_decoder(table, "spec.toml", PRE)
    turned = decoder.groups({"o": rows[:, ::-1]})
    assert decoder.groups({"o": rows}).keys() == turned.keys() == {"scores"}
    assert decoder.groups({"o": rows})["scores"] == pytest.approx([0.9, 0.6, 0, 0])
    assert turned["scores"] == pytest.approx([0.9, 0.6, 0, 0])


def test_the_default_boxes_of_the_reference_are_those_8732_of_ssd300(
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "decoders.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, re.S)
    (example,) = (block for block in blocks if "priors" in block)
    spec = tmp_path / "spec.toml"
    spec.write_text(example)
    table = read_toml(spec)["decoder"]
    decoder = make_decoder(table, "spec.toml", Preprocess(300, 300))
    # 4 x 38 x 38 + 6 x (19 x 19 + 10 x 10 + 5 x 5) + 4 x (3 x 3 + 1): the paper's figure.
    outputs = {"b": np.zeros((1, 8732, 4), np.float32), "s": np.zeros((1, 8732, 91), np.float32)}
    assert set(decoder.groups(outputs)) == {"boxes", "scores"}
