"""Small nets whose engines the tests build: plain, residual, depthwise, in three precisions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from edgesdk.backends import load_backend, opened
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import simulate_fp16, write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.quantize.qdq import write_qdq
from edgesdk.tensors import Array
from tests.onnx_graphs import make_model

CHANNELS, SIZE = 32, 32
"""Channels in multiples of 32: below, TensorRT has no INT8 kernels to choose from."""
PRECISIONS = ("fp32", "fp16", "int8")


def pictures(count: int, seed: int = 0) -> list[Array]:
    """Inputs of shape (1, 3, 32, 32), float32, always the same ones."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(1, 3, SIZE, SIZE)).astype(np.float32) for _ in range(count)]


class _Builder:
    """Collects nodes and weights; weights keep the size of what goes through."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.rng = np.random.default_rng(17)

    def conv(self, source: str, name: str, shape: tuple[int, int, int, int], **more: object) -> str:
        fan = np.prod(shape[1:])
        weight = self.rng.normal(0, np.sqrt(2 / fan), shape).astype(np.float32)
        bias = self.rng.normal(0, 0.1, shape[0]).astype(np.float32)
        self.constants |= {f"{name}_w": weight, f"{name}_b": bias}
        pads = [shape[2] // 2] * 4
        inputs = [source, f"{name}_w", f"{name}_b"]
        self.nodes.append(helper.make_node("Conv", inputs, [name], name, pads=pads, **more))
        return name

    def node(self, kind: str, sources: list[str], name: str) -> str:
        self.nodes.append(helper.make_node(kind, sources, [name], name))
        return name


def plain(net: _Builder) -> None:
    """Conv, Relu, Conv."""
    x = net.node("Relu", [net.conv("x", "c1", (CHANNELS, 3, 3, 3))], "r1")
    net.conv(x, "y", (CHANNELS, CHANNELS, 3, 3))


def residual(net: _Builder) -> None:
    """A skip connection past two convolutions."""
    x = net.node("Relu", [net.conv("x", "c1", (CHANNELS, 3, 3, 3))], "r1")
    a = net.node("Relu", [net.conv(x, "c2", (CHANNELS, CHANNELS, 3, 3))], "r2")
    b = net.conv(a, "c3", (CHANNELS, CHANNELS, 3, 3))
    net.node("Relu", [net.node("Add", [b, x], "sum")], "y")


def depthwise(net: _Builder) -> None:
    """A depthwise and a pointwise convolution."""
    x = net.node("Relu", [net.conv("x", "c1", (CHANNELS, 3, 3, 3))], "r1")
    d = net.conv(x, "c2", (CHANNELS, 1, 3, 3), group=CHANNELS)
    net.conv(net.node("Relu", [d], "r2"), "y", (CHANNELS, CHANNELS, 1, 1))


NETS: dict[str, Callable[[_Builder], None]] = {
    "plain": plain,
    "residual": residual,
    "depthwise": depthwise,
}


def make_net(name: str, precision: str, opset: int) -> Model:
    """One of NETS with input "x" and output "y", in "fp32", "fp16" or "int8"."""
    net = _Builder()
    NETS[name](net)
    proto = make_model(net.nodes, net.constants, {"x": [1, 3, SIZE, SIZE]}, ["y"], opset)
    model = prepare(Model.of(proto, name), opset, {})
    if precision == "fp16":
        return write_fp16(model)
    return _quantized(model) if precision == "int8" else model


def reference(model: Model, feeds: list[Array]) -> list[Array]:
    """ONNX Runtime's answers, each rounding as the graph says it."""
    backend = load_backend("onnxruntime", threads=1, exact=True)
    name = model.inputs[0].name
    with opened(backend, simulate_fp16(model)) as session:
        return [session.run({name: x})[model.outputs[0].name].copy() for x in feeds]


def sqnr_db(expected: Array, found: Array) -> float:
    """Signal to noise of `found`, in dB; 300 where there is no difference."""
    wide = expected.astype(np.float64)
    noise = np.square(wide - found.astype(np.float64)).sum()
    return min(10 * float(np.log10(np.square(wide).sum() / max(noise, 1e-300))), 300.0)


def _quantized(model: Model) -> Model:
    """All convolutions in INT8, with the ranges of eight pictures."""
    layers = find_layers(model, ("Conv",))
    watched = with_outputs(model, [layer.activation for layer in layers if layer.activation != "x"])
    ranges: dict[str, float] = {}
    with opened(load_backend("onnxruntime", threads=1, exact=True), watched) as session:
        for x in pictures(8, seed=1):
            for name, value in {"x": x, **session.run({"x": x})}.items():
                ranges[name] = max(ranges.get(name, 0.0), float(np.abs(value).max()))
    return write_qdq(model, ranges, layers)
