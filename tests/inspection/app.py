"""A line inspection app with a classifier made by hand: bright parts are good."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk._resources import data_folder

APP = """
name = "made_line"
title = "Judges parts by how bright they are"
[model]
file = "bright.onnx"
[model.spec]
labels = ["good", "bad"]
[model.spec.preprocess]
width = 16
height = 16
resize = "stretch"
color = "bgr"
scale = 0.00392156862745098
[model.spec.decoder]
type = "classes"
softmax = true
[source]
default = "sim://line?seed=4&frames=150&rate=240"
[settings.judge]
threshold = {threshold}
deadline_ms = 60000
"""


def bright_model(steepness: float = 40.0, middle: float = 0.4) -> onnx.ModelProto:
    """Logits (s * (mean - middle), 0) of a picture 1x3x16x16 with values 0..1."""
    weights = np.array([[steepness / 3] * 3, [0.0] * 3], np.float32).T
    bias = np.array([-steepness * middle, 0.0], np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def make_app(folder: Path, threshold: float = 0.5, middle: float = 0.4) -> Path:
    """The folder of the app, with the shipped app's code."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(data_folder("apps") / "line_inspection" / "app.py", folder / "app.py")
    (folder / "app.toml").write_text(APP.format(threshold=threshold))
    onnx.save(bright_model(middle=middle), str(folder / "bright.onnx"))
    return folder
