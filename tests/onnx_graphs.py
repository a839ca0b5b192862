"""Small ONNX models for tests, made with onnx.helper alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make_model(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    inputs: dict[str, Sequence[int | str]],
    outputs: Sequence[str],
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    ir = helper.OP_SET_ID_VERSION_MAP[("ai.onnx", opset)]
    opsets = [helper.make_opsetid("", opset)]
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=opsets, ir_version=ir)
    )


def small_detector(seed: int = 0, size: int = 32, wild: bool = False) -> onnx.ModelProto:
    """Conv-Relu, depthwise conv, Relu, 1x1 conv, and a transposed output of 1 x N x 7.

    `wild` spreads the channels that enter the depthwise conv a thousandfold, as a badly
    conditioned net does: per-tensor INT8 then drowns its small channels.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)

    spread = np.logspace(0, 3, 8).astype(np.float32) if wild else np.ones(8, np.float32)
    constants = {
        "w1": normal(8, 3, 3, 3) * spread[:, None, None, None] / 64,
        "b1": normal(8, 1)[:, 0] * 0,
        "w2": normal(8, 1, 3, 3) / spread[:, None, None, None],
        "w3": normal(7, 8, 1, 1),
        "b3": normal(7, 1)[:, 0],
        "shape": np.array([1, 7, -1], np.int64),
    }
    nodes = [
        helper.make_node(
            "Conv", ["images", "w1", "b1"], ["c1"], "first", pads=[1] * 4, strides=[2, 2]
        ),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "depthwise", pads=[1] * 4, group=8),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], "head"),
        helper.make_node("Reshape", ["c3", "shape"], ["flat"], "flatten"),
        helper.make_node("Transpose", ["flat"], ["output"], "transpose", perm=[0, 2, 1]),
    ]
    return make_model(nodes, constants, {"images": [1, 3, size, size]}, ["output"])
