"""A classifier made by hand: how much blue, green and red there is, as a whole and by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk._resources import data_folder

SIDE_PX = 16
TRIAGE = data_folder("apps") / "medical_triage"
APP = """
name = "colors"
title = "Red before green before blue"
[model]
file = "colors.onnx"
[model.spec]
labels = ["blue", "green", "red"]
[model.spec.preprocess]
width = 16
height = 16
resize = "stretch"
color = "bgr"
[model.spec.decoder]
type = "classes"
output = "logits"
heat = "heat"
[settings.triage]
order = ["red", "green", "blue"]
"""


def colors_model(batch: int = 1) -> onnx.ModelProto:
    """Logits: the mean of each channel / 20. Heat: the same in places of 4 x 4 pixels."""
    pool = {"kernel_shape": [4, 4], "strides": [4, 4]}
    nodes = [
        helper.make_node("Div", ["images", "twenty"], ["scaled"]),
        helper.make_node("AveragePool", ["scaled"], ["heat"], **pool),
        helper.make_node("GlobalAveragePool", ["heat"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    shape = [batch, 3, SIDE_PX, SIDE_PX]
    places = [batch, 3, SIDE_PX // 4, SIDE_PX // 4]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 3]),
            helper.make_tensor_value_info("heat", TensorProto.FLOAT, places),
        ],
        [numpy_helper.from_array(np.array(20, np.float32), "twenty")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def colors_app(folder: Path, batch: int = 1) -> Path:
    """The shipped app's own code with this classifier."""
    folder.mkdir(parents=True)
    onnx.save(colors_model(batch), str(folder / "colors.onnx"))
    (folder / "app.toml").write_text(APP)
    (folder / "app.py").write_text((TRIAGE / "app.py").read_text())
    return folder


def plain(blue: int, green: int, red: int) -> np.ndarray:
    """A picture of one colour."""
    return np.full((24, 32, 3), (blue, green, red), np.uint8)
