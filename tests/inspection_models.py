"""Inspection models made by hand, whose answers anyone can work out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.onnx_graphs import make_model


def dark_spots(side: int = 64, batch: int = 1) -> onnx.ModelProto:
    """`heat`: how much darker than 255 the blue is, averaged over 8 x 8 pixels; `score`: the most.

    On a part that fills the picture with level n the score is 255 - n.
    """
    nodes = [
        helper.make_node("Slice", ["picture", "from", "to", "axis"], ["blue"]),
        helper.make_node("Sub", ["white", "blue"], ["dark"]),
        helper.make_node("AveragePool", ["dark"], ["heat"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("ReduceMax", ["heat"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    constants = {
        "from": np.array([0], np.int64),
        "to": np.array([1], np.int64),
        "axis": np.array([1], np.int64),
        "white": np.array(255, np.float32),
    }
    return make_model(nodes, constants, {"picture": [batch, 3, side, side]}, ["score", "heat"])


def light_or_dark(side: int = 64) -> onnx.ModelProto:
    """A classifier: logits (good, bad) = (mean - 128, 128 - mean) / 8 of all pixels."""
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["mean", "middle"], ["light"]),
        helper.make_node("Div", ["light", "eight"], ["good"]),
        helper.make_node("Neg", ["good"], ["bad"]),
        helper.make_node("Unsqueeze", ["good", "axis"], ["good1"]),
        helper.make_node("Unsqueeze", ["bad", "axis"], ["bad1"]),
        helper.make_node("Concat", ["good1", "bad1"], ["logits"], axis=1),
    ]
    constants = {
        "middle": np.array(128, np.float32),
        "eight": np.array(8, np.float32),
        "axis": np.array([1], np.int64),
    }
    return make_model(nodes, constants, {"picture": [1, 3, side, side]}, ["logits"])


SETTINGS = """
[settings.parts]
size_px = [30, 60]
crop_px = 32
[settings.judge]
deadline_ms = 10000
"""


def app_folder(
    folder: Path, model: onnx.ModelProto, decoder: str, labels: str = "", more: str = SETTINGS
) -> Path:
    """An app with line_inspection's code and this model; pictures are stretched to its input."""
    code = Path(__file__).parent.parent / "apps" / "line_inspection" / "app.py"
    (folder / "app.py").write_text(code.read_text("utf-8"))
    onnx.save(model, folder / "model.onnx")
    side = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    (folder / "app.toml").write_text(
        f"""
name = "made_by_hand"
title = "A model made by hand"
[model]
file = "model.onnx"
[model.spec]
labels = [{labels}]
[model.spec.preprocess]
width = {side}
height = {side}
resize = "stretch"
color = "bgr"
[model.spec.decoder]
{decoder}
{more}"""
    )
    return folder
