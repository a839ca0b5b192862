"""What INT8 does to each layer on its own: measured inside one graph, all layers in one run.

The float graph runs as it is; beside every layer stands its INT8 twin, fed with the same float
tensor. Three sums leave the graph for each layer, whatever the picture's size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesdk.calibration import CalibrationTable
from edgesdk.model import Model
from edgesdk.model.edit import value_shapes
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.qdq import write_qdq
from edgesdk.tensors import Array, Runner

TWIN = "_int8_twin"
SUMS = ("noise", "power", "sum")


def probe_model(model: Model, table: CalibrationTable, layers: Sequence[Layer]) -> Model:
    """The float graph with an INT8 twin beside each layer and three sums for each as outputs."""
    quantized = write_qdq(model, table, layers).proto
    producers = {out: node for node in quantized.graph.node for out in node.output}
    shapes = value_shapes(model)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.node[:], proto.graph.output[:]
    own = {tensor.name for tensor in proto.graph.initializer}
    proto.graph.initializer.extend(t for t in quantized.graph.initializer if t.name not in own)
    twins = {n.name: n for n in quantized.graph.node}
    chosen = {layer.node: layer for layer in layers}
    placed: set[str] = set()
    for node in model.proto.graph.node:
        proto.graph.node.append(node)
        if node.name in chosen:
            _add_pairs(proto.graph, twins[node.name], producers, placed)
            _add_twin(proto.graph, twins[node.name], len(shapes[node.output[0]]))
    return Model.of(proto, model.name)


def layer_sqnr_db(
    runner: Runner, model: Model, layers: Sequence[Layer], feeds: Iterable[Mapping[str, Array]]
) -> dict[str, float]:
    """Signal to INT8 noise of each layer's output, in dB, by node name.

    `runner` runs the probe of `model`. The signal is what varies: a channel's mean is taken out,
    since the bias could carry it.
    """
    sums: dict[str, Array] = {}
    pictures = 0
    for feed in feeds:
        for name, value in runner.run(feed).items():
            sums[name] = sums.get(name, np.zeros(1)) + value.astype(np.float64)
        pictures += 1
    if not pictures:
        return {}
    outputs = {node.name: node.output[0] for node in model.proto.graph.node}
    shapes = value_shapes(model)
    tensors = {layer.node: outputs[layer.node] for layer in layers}
    return {n: _sqnr(sums, t, pictures * prod(shapes[t])) for n, t in tensors.items()}


def _sqnr(sums: Mapping[str, Array], tensor: str, values: int) -> float:
    noise, power, total = (sums[f"{tensor}_{kind}"] for kind in SUMS)
    each = values / len(total)
    signal = float(np.maximum(power - np.square(total) / each, 0).sum())
    lost = float(noise.sum())
    if lost == 0.0:
        return float("inf")
    return 10 * float(np.log10(signal / lost)) if signal > 0 else float("-inf")


def _add_pairs(
    graph: onnx.GraphProto,
    twin: onnx.NodeProto,
    producers: Mapping[str, onnx.NodeProto],
    placed: set[str],
) -> None:
    """The Q/DQ nodes that stand before a layer, each once."""
    for name in twin.input[:2]:
        pair = producers[name]
        before = producers.get(pair.input[0])
        chain = (
            [before, pair] if before is not None and before.op_type == "QuantizeLinear" else [pair]
        )
        for node in chain:
            if node.name not in placed:
                placed.add(node.name)
                graph.node.append(node)


def _add_twin(graph: onnx.GraphProto, twin: onnx.NodeProto, rank: int) -> None:
    tensor = twin.output[0]
    copy = graph.node.add()
    copy.CopyFrom(twin)
    copy.name += TWIN
    copy.output[0] = tensor + TWIN
    channel = rank - 1 if twin.op_type == "MatMul" else 1
    axes = np.array([axis for axis in range(rank) if axis != channel], np.int64)
    graph.initializer.append(numpy_helper.from_array(axes, f"{tensor}_axes"))
    graph.node.append(helper.make_node("Sub", [tensor, tensor + TWIN], [f"{tensor}_difference"]))
    for kind, source in {"noise": f"{tensor}_difference", "power": tensor}.items():
        square = f"{tensor}_{kind}_square"
        graph.node.append(helper.make_node("Mul", [source, source], [square]))
        _reduce(graph, square, f"{tensor}_{kind}", tensor)
    _reduce(graph, tensor, f"{tensor}_sum", tensor)


def _reduce(graph: onnx.GraphProto, source: str, name: str, tensor: str) -> None:
    node = helper.make_node("ReduceSum", [source, f"{tensor}_axes"], [name], keepdims=0)
    graph.node.append(node)
    graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
