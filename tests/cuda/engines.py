"""Engines of the double of TensorRT, for small nets whose answers ONNX Runtime knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgesdk.backends import load_backend
from edgesdk.backends.tensorrt.building.builder import build_engine
from edgesdk.backends.tensorrt.building.built import BuildOrder
from edgesdk.backends.tensorrt.settings import EngineSettings, ShapeRange
from edgesdk.model import Model
from edgesdk.tensors import Array
from tests.tensorrt_double import make_tensorrt

BATCHES = EngineSettings(shapes={"image": ShapeRange((1, 3, 8, 8), (2, 3, 8, 8), (8, 3, 8, 8))})
"""For `small_net("N")`."""
VERSIONS = ("8.6.1", "10.3.0", "10.16.1", "11.4.0")


def model_of(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Array]
) -> Model:
    graph = helper.make_graph(
        nodes, "net", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in constants.items()]
    )
    opsets = [helper.make_opsetid("", 17)]
    return Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8))


def small_net(batch: int | str = 1) -> Model:
    """image (batch, 3, 8, 8) -> relu(conv) "features" (batch, 4, 8, 8), their means "pooled"."""
    rng = np.random.default_rng(0)
    return model_of(
        [
            helper.make_node("Conv", ["image", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["features"], name="relu"),
            helper.make_node("GlobalAveragePool", ["features"], ["pooled"], name="pool"),
        ],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, 4, 8, 8]),
            helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [batch, 4, 1, 1]),
        ],
        {
            "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
            "b": rng.normal(size=4).astype(np.float32),
        },
    )


def many_types() -> Model:
    """Inputs half, int32 and bool, each of which comes out again by another way."""
    return model_of(
        [
            helper.make_node("Mul", ["h", "two"], ["doubled"], name="double"),
            helper.make_node("Add", ["i", "one"], ["next"], name="next_one"),
            helper.make_node("Not", ["flag"], ["other"], name="turn"),
        ],
        [
            helper.make_tensor_value_info("h", TensorProto.FLOAT16, [3]),
            helper.make_tensor_value_info("i", TensorProto.INT32, [2]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, [5]),
        ],
        [
            helper.make_tensor_value_info("doubled", TensorProto.FLOAT16, [3]),
            helper.make_tensor_value_info("next", TensorProto.INT32, [2]),
            helper.make_tensor_value_info("other", TensorProto.BOOL, [5]),
        ],
        {"two": np.array(2, np.float16), "one": np.array(1, np.int32)},
    )


def built(version: str, model: Model, settings: EngineSettings | None = None) -> tuple[Any, bytes]:
    """The double of that version, and its engine of `model`."""
    trt = make_tensorrt(version)
    return trt, build_engine(trt, model, settings or EngineSettings(), BuildOrder()).data


def expected(model: Model, feeds: dict[str, Array]) -> dict[str, Array]:
    """ONNX Runtime's answers."""
    backend = load_backend("onnxruntime")
    return backend.open(backend.compile(model)).run(feeds)


def images(seed: int, batch: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {"image": rng.normal(size=(batch, 3, 8, 8)).astype(np.float32)}


def assert_right(answers: dict[str, Array], feeds: dict[str, Array]) -> None:
    """They are ONNX Runtime's for `small_net`, of whatever batch.

    Both computed in the same way, so that only the order of sums may differ.
    """
    batch = len(feeds["image"])
    right = expected(small_net(batch), feeds)
    assert answers.keys() == right.keys()
    for name, value in right.items():
        np.testing.assert_allclose(answers[name], value, rtol=1e-5, atol=1e-6)
