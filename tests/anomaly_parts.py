"""Parts for tests of inspection, good or with a dark spot, and a small backbone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgesdk.anomaly import Backbone
from edgesdk.model import Model
from edgesdk.preprocess import Preprocess
from tests.onnx_graphs import make_model

SIZE = 64
PREPROCESS = Preprocess(SIZE, SIZE, resize="stretch", color="bgr", scale=1 / 255)
SPEC = f"""
[preprocess]
width = {SIZE}
height = {SIZE}
resize = "stretch"
color = "bgr"
scale = {1 / 255!r}
"""


def part(seed: int, spot: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A plate of 80 x 80 pixels, lit from one side; `spot` (x, y) is the middle of a defect."""
    rng = np.random.default_rng(seed)
    light = np.linspace(0, rng.uniform(10, 40), 80)[None]
    image = rng.uniform(110, 130) + light + rng.normal(0, 4, (80, 80))
    if spot:
        y, x = np.mgrid[:80, :80]
        image[(x - spot[0]) ** 2 + (y - spot[1]) ** 2 < 36] -= 70
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def net(seed: int = 1, opset: int = 17, size: int | str = SIZE) -> onnx.ModelProto:
    """Five convolutions of stride 2 with random weights, and a classifier behind them."""
    rng = np.random.default_rng(seed)
    constants, nodes, last, channels = {}, [], "images", 3
    for i, width in enumerate((8, 12, 16, 24, 24)):
        weight = rng.normal(0, np.sqrt(2 / (9 * channels)), (width, channels, 3, 3))
        constants[f"w{i}"] = weight.astype(np.float32)
        keys = {"pads": [1] * 4, "strides": [2, 2]}
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], f"conv{i}", **keys))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"))
        last, channels = f"r{i}", width
    constants["fc"] = rng.normal(0, 0.1, (24, 10)).astype(np.float32)
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("MatMul", ["flat", "fc"], ["logits"], "classify"),
    ]
    return make_model(nodes, constants, {"images": [1, 3, size, size]}, ["logits"], opset)


def backbone() -> Backbone:
    return Backbone(Model.of(net(), "net"), PREPROCESS)


def write_parts(folder: Path, seeds: range, spot: tuple[int, int] | None = None) -> Path:
    """Pictures of parts as files; the folder is given back."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        cv2.imwrite(str(folder / f"{seed:04d}.png"), part(seed, spot))
    return folder
