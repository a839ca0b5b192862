"""Outputs of other libraries' heads give the boxes that those libraries find in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.detections import Detections
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.suppression import nms

HEADS = Path(__file__).parent / "heads"
ROUNDING_PX = 2e-3
"""Float32 at up to 500 pixels, through one more division than the peers'."""

LETTERBOX = Placement(192 / 500, 115 / 300, 0, 38, 500, 300)
"""A picture of 500 x 300 in 192 x 192: 115 rows, between 38 and 39 rows of grey."""


def head(name: str) -> dict[str, Array]:
    with np.load(HEADS / f"{name}.npz") as file:
        return dict(file)


def found(
    table: dict[str, Any], outputs: dict[str, Array], side: int, placement: Placement
) -> Detections:
    result = make_decoder(table, "spec.toml", Preprocess(side, side)).decode(outputs, placement)
    assert isinstance(result, Detections)
    return result


def same_boxes(ours: Detections, theirs: dict[str, Array], width: int, height: int) -> None:
    """Equal as sets: boxes of equal scores may stand in another order.

    Theirs are cut at the picture's edges, where they did not do that; what is then without area
    is no detection to edgesdk.
    """
    boxes = np.clip(theirs["xyxy"], 0, [width, height, width, height])
    seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    assert seen.sum() >= 20, "too few boxes to prove anything"
    expected = np.column_stack([theirs["class_id"], theirs["score"], boxes])[seen]
    rows = np.column_stack([ours.class_id, ours.score, ours.xyxy])
    assert len(rows) == len(expected)
    assert (np.diff(ours.score) <= 0).all(), "the best is first"
    for one in expected:
        near = np.abs(rows[:, 2:] - one[2:]).max(axis=1) <= ROUNDING_PX
        near &= (rows[:, 0] == one[0]) & (np.abs(rows[:, 1] - one[1]) < 1e-5)
        assert near.any(), one


def test_yolov8_finds_what_ultralytics_finds() -> None:
    theirs = head("yolov8")
    table = {"type": "yolov8", "score_threshold": float(theirs["threshold"])}
    same_boxes(found(table, {"o": theirs["output"]}, 192, LETTERBOX), theirs, 500, 300)


def test_a_head_without_suppression_gives_what_ultralytics_gives() -> None:
    theirs = head("yolo26")
    table = {"type": "end2end", "score_threshold": float(theirs["threshold"])}
    same_boxes(found(table, {"o": theirs["output"]}, 192, LETTERBOX), theirs, 500, 300)


def test_ultralytics_rt_detr_gives_shares_of_the_input() -> None:
    theirs = head("rtdetr")
    table = {
        "type": "end2end",
        "box_form": "cxcywh",
        "normalized": True,
        "score_threshold": float(theirs["threshold"]),
    }
    stretched = Placement(192 / 500, 192 / 300, 0, 0, *theirs["size"])
    same_boxes(found(table, {"o": theirs["output"]}, 192, stretched), theirs, 500, 300)


def test_ssd_offsets_from_default_boxes_give_what_torchvision_finds() -> None:
    theirs = head("ssd_torchvision")
    table = {
        "type": "ssd",
        "activation": "softmax",
        "score_threshold": float(theirs["threshold"]),
        "iou_threshold": 1.0,  # theirs cuts boxes at the edges before it compares them
        "priors": {
            "steps": theirs["steps"].tolist(),
            "sizes": theirs["sizes"].tolist(),
            "ratios": [[2], [2, 3]],
        },
    }
    outputs = {"regression": theirs["boxes"], "logits": theirs["scores"]}
    # With four columns each, boxes and scores cannot be told apart by their shapes.
    table |= {"boxes": "regression", "scores": "logits"}
    theirs["class_id"] = theirs["class_id"] - 1  # its label 0 is the background
    same_boxes(found(table, outputs, 96, Placement(1, 1, 0, 0, 96, 96)), theirs, 96, 96)


@pytest.mark.parametrize("count", [60, 130, 1000])
@pytest.mark.parametrize("across", [False, True])
def test_suppression_keeps_the_boxes_that_torchvision_keeps(count: int, across: bool) -> None:
    made = head(f"suppression_{count}")
    kind = None if across else made["class_id"]
    keep = nms(made["boxes"], made["score"], kind, 0.45, count)
    assert keep.tolist() == made["across" if across else "by_class"].tolist()
