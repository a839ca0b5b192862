"""A detector made by hand, and pictures for it: it finds bright squares of 40 pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE_PX, STRIDE = 40, 8
WIDTH, HEIGHT = 192, 160
SPEC = f"""
labels = ["square", "never"]
[preprocess]
width = {WIDTH}
height = {HEIGHT}
resize = "stretch"
color = "bgr"
[decoder]
type = "yolox"
strides = [{STRIDE}]
"""
"""A SPEC.toml: the head is YOLOX's with one grid."""


def squares_model(batch: int = 1) -> onnx.ModelProto:
    """The mean of each cell of 8 x 8 pixels decides whether a square has its middle there.

    It takes `batch` pictures at once.
    """
    kernel = SIDE_PX - STRIDE
    pad = (kernel - STRIDE) // 2
    cells = (WIDTH // STRIDE) * (HEIGHT // STRIDE)
    rest = np.tile(np.array([[0.5, 0.5, *np.log([SIDE_PX / STRIDE] * 2)]], np.float32), (cells, 1))
    constants = {
        "gain": np.array(0.5, np.float32),
        "threshold": np.array(235.0, np.float32),
        "shape": np.array([batch, cells, 1], np.int64),
        "box": np.tile(rest[None], (batch, 1, 1)),
        "classes": np.tile(np.array([[[1.0, 0.0]]], np.float32), (batch, cells, 1)),
    }
    pool = {"kernel_shape": [kernel] * 2, "strides": [STRIDE] * 2, "pads": [pad] * 4}
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["grey"], axes=[1]),
        helper.make_node("AveragePool", ["grey"], ["mean"], **pool),
        helper.make_node("Sub", ["mean", "threshold"], ["above"]),
        helper.make_node("Mul", ["above", "gain"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["map"]),
        helper.make_node("Reshape", ["map", "shape"], ["score"]),
        helper.make_node("Concat", ["box", "score", "classes"], ["output"], axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, cells, 7])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def picture(*centers: tuple[float, float]) -> np.ndarray:
    """A dark picture with a bright square around each centre (x, y)."""
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for x, y in centers:
        corner = (round(x - SIDE_PX / 2), round(y - SIDE_PX / 2))
        opposite = (corner[0] + SIDE_PX - 1, corner[1] + SIDE_PX - 1)
        cv2.rectangle(image, corner, opposite, (255, 255, 255), -1)
    return image


def crossing_clip(path: Path, frames: int = 60) -> Path:
    """One square goes down on the left, another goes up on the right; both cross y = 80."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (WIDTH, HEIGHT))
    for i in range(frames):
        way = 110 * i / (frames - 1)
        writer.write(picture((45, 25 + way), (145, 135 - way)))
    writer.release()
    return path


def app_folder(folder: Path, code: str, settings: str = "", batch: int = 1) -> Path:
    """An app of its own with this detector."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(squares_model(batch), str(folder / "squares.onnx"))
    (folder / "spec.toml").write_text(SPEC)
    (folder / "app.py").write_text(code)
    (folder / "app.toml").write_text(
        f'name = "squares"\ntitle = "Finds squares"\n'
        f'[model]\nfile = "squares.onnx"\nspec_file = "spec.toml"\n[settings]\n{settings}'
    )
    return folder
