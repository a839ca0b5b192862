"""Nets for the FP16 tests, and how they are run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesdk.backends import load_backend, opened
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import peaks, simulate_fp16, tensors_to_watch
from edgesdk.quantize.layers import find_layers
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import make_model, small_detector

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(11)
TOKENS = RNG.normal(size=(1, 16, 8)).astype(np.float32)
HALF_DB = 50
"""FP16 keeps 11 bits, 66 dB; the rest is room for the sums."""
PICTURES = [RNG.normal(size=(1, 3, 32, 32)).astype(np.float32) for _ in range(3)]


def run(model: Model, x: np.ndarray) -> dict[str, np.ndarray]:
    """Exact, in one thread; an FP16 graph with each of its roundings."""
    backend = load_backend("onnxruntime", threads=1, exact=True)
    with opened(backend, simulate_fp16(model)) as session:
        return session.run({model.inputs[0].name: x})


def observed(model: Model, pictures: list[np.ndarray]) -> dict[str, float]:
    """Largest magnitudes as calibration sees them."""
    watched = peaks(model, tensors_to_watch(model))
    backend = load_backend("onnxruntime", threads=1, exact=True)
    with opened(backend, watched.model) as session:
        return watched.observe(session, ({model.inputs[0].name: x} for x in pictures))


def kinds(model: Model) -> Counter[str]:
    return Counter(node.op_type for node in model.proto.graph.node)


def stored(model: Model) -> dict[str, str]:
    return {t.name: numpy_helper.to_array(t).dtype.name for t in model.proto.graph.initializer}


def types(model: Model) -> dict[str, int]:
    graph = model.proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name: v.type.tensor_type.elem_type for v in values}


def check(model: Model) -> None:
    onnx.checker.check_model(model.proto, full_check=True)
    onnx.shape_inference.infer_shapes(model.proto, check_type=True, strict_mode=True)


def sqnr_db(reference: np.ndarray, other: np.ndarray) -> float:
    wide = reference.astype(np.float64)
    noise = np.square(wide - other).sum()
    return 10 * float(np.log10(np.square(wide).sum() / max(noise, 1e-300)))


def prepared(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    shape: list[int],
    outputs: list[str],
    opset: int = 19,
) -> Model:
    return prepare(Model.of(make_model(nodes, dict(constants), {"x": shape}, outputs)), opset, {})


def detector(opset: int = 19) -> Model:
    return prepare(Model.of(small_detector()), opset, {})


def quantized(model: Model, pictures: list[np.ndarray]) -> Model:
    """All layers in INT8, ranges by numpy from the pictures."""
    layers = find_layers(model, OPERATORS)
    name = model.inputs[0].name
    watched = with_outputs(model, [layer.activation for layer in layers])
    answers = [{name: x, **run(watched, x)} for x in pictures]
    ranges = {}
    for layer in layers:
        amax = max(float(np.abs(a[layer.activation]).max()) for a in answers)
        ranges[layer.activation] = amax
    return write_qdq(model, ranges, layers)


def attention_net(epsilon: float = 1e-6, tokens: int = 16, width: int = 8) -> Model:
    """LayerNorm written out, one head of attention with a mask, LayerNormalization, a residual."""
    rng = np.random.default_rng(3)
    weights = {
        name: (rng.normal(size=(width, width)) / np.sqrt(width)).astype(np.float32)
        for name in ("wq", "wk", "wv", "wo")
    }
    mask = np.triu(np.full((tokens, tokens), -1e9, np.float32), 1)
    constants = {
        **weights,
        "two": np.array(2, np.float32),
        "epsilon": np.array(epsilon, np.float32),
        "gain": np.ones(width, np.float32),
        "shift": np.zeros(width, np.float32),
        "root": np.array(np.sqrt(width), np.float32),
        "mask": mask,
        "axis": np.array([-1], np.int64),
    }
    make = helper.make_node
    nodes = [
        *written_out_norm("x"),
        *(make("MatMul", ["normed", f"w{n}"], [n], f"project_{n}") for n in "qkv"),
        make("Transpose", ["k"], ["kt"], "turn", perm=[0, 2, 1]),
        make("MatMul", ["q", "kt"], ["raw"], "scores"),
        make("Div", ["raw", "root"], ["scaled"], "scale"),
        make("Add", ["scaled", "mask"], ["masked"], "mask_scores"),
        make("Softmax", ["masked"], ["share"], "softmax", axis=-1),
        make("MatMul", ["share", "v"], ["mixed"], "mix"),
        make("MatMul", ["mixed", "wo"], ["out"], "project_out"),
        make("Add", ["out", "x"], ["sum"], "residual"),
        make("LayerNormalization", ["sum", "gain", "shift"], ["y"], "last_norm", axis=-1),
    ]
    return prepared(nodes, constants, [1, tokens, width], ["y"])


def written_out_norm(source: str) -> list[onnx.NodeProto]:
    """(x - mean) / sqrt(variance + epsilon) over the last axis, as old exporters write it."""
    make = helper.make_node
    return [
        make("ReduceMean", [source, "axis"], ["mean"], "mean", keepdims=1),
        make("Sub", [source, "mean"], ["apart"], "apart"),
        make("Pow", ["apart", "two"], ["square"], "square"),
        make("ReduceMean", ["square", "axis"], ["variance"], "variance", keepdims=1),
        make("Add", ["variance", "epsilon"], ["safe"], "add_epsilon"),
        make("Sqrt", ["safe"], ["deviation"], "root_of"),
        make("Div", ["apart", "deviation"], ["normed"], "divide"),
    ]


def huge_net() -> Model:
    """Activations around 1e6 in the middle, of ordinary size at both ends."""
    rng = np.random.default_rng(5)
    constants = {
        "w1": (rng.normal(size=(8, 3, 3, 3)) * 2e4).astype(np.float32),
        "b1": np.zeros(8, np.float32),
        "w2": (rng.normal(size=(8, 8, 1, 1)) * 1e-3).astype(np.float32),
        "w3": rng.normal(size=(4, 8, 1, 1)).astype(np.float32),
    }
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "w1", "b1"], ["a"], "large", pads=[1] * 4),
        make("Relu", ["a"], ["b"], "relu"),
        make("MaxPool", ["b"], ["c"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        make("Conv", ["c", "w2"], ["d"], "back", pads=[0] * 4),
        make("Sigmoid", ["d"], ["e"], "squash"),
        make("Conv", ["e", "w3"], ["y"], "head"),
    ]
    return prepared(nodes, constants, [1, 3, 32, 32], ["y"])
