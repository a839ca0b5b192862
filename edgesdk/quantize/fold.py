"""Folding channel factors into the layer that makes a tensor, where that is exact and free."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.calibration.histogram import Ints

HOMOGENEOUS = frozenset(
    {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity"}
)
"""f(2**k x) = 2**k f(x) for each channel, so factors pass through unchanged."""
SCALED_INPUTS = {"Conv": (1, 2), "BatchNormalization": (1, 2)}
"""The constants whose output channels are multiplied: weight and bias, scale and bias."""


def fold_into_producer(graph: onnx.GraphProto, tensor: str, readers: Set[str], powers: Ints) -> str:
    """Multiply channel c of `tensor` by 2**powers[c] inside the node that makes it.

    `readers` are the nodes that expect the scaled tensor. Returns the node's name; empty, with
    the graph unchanged, where anything else would see the change or it would not be exact.
    """
    producer = _scalable_producer(graph, tensor, readers)
    if producer is None:
        return ""
    for index in SCALED_INPUTS[producer.op_type]:
        if index < len(producer.input) and producer.input[index]:
            _multiply(graph, producer, index, powers)
    return str(producer.name)


def folds(
    graph: onnx.GraphProto, tensor: str, readers: Set[str], kept: Set[str] = frozenset()
) -> bool:
    """Whether `fold_into_producer` would find a place for the factors.

    `kept` are tensors that must not be scaled on the way, since others know their range.
    """
    return _scalable_producer(graph, tensor, readers, kept) is not None


def _scalable_producer(
    graph: onnx.GraphProto, tensor: str, readers: Set[str], kept: Set[str] = frozenset()
) -> onnx.NodeProto | None:
    outputs = {value.name for value in graph.output} | kept
    constants = {t.name for t in graph.initializer}
    while True:
        if tensor in outputs or {n.name for n in graph.node if tensor in n.input} != set(readers):
            return None
        node = next((n for n in graph.node if tensor in n.output), None)
        if node is None:
            return None
        if node.op_type in SCALED_INPUTS:
            scaled = [node.input[i] for i in SCALED_INPUTS[node.op_type] if i < len(node.input)]
            return node if all(name in constants for name in scaled if name) else None
        if node.op_type not in HOMOGENEOUS:
            return None
        tensor, readers = node.input[0], {node.name}


def _multiply(graph: onnx.GraphProto, node: onnx.NodeProto, index: int, powers: Ints) -> None:
    old = next(t for t in graph.initializer if t.name == node.input[index])
    values = numpy_helper.to_array(old)
    scaled = np.ldexp(values, powers.reshape(-1, *[1] * (values.ndim - 1)))
    if sum(list(n.input).count(old.name) for n in graph.node) == 1:
        old.CopyFrom(numpy_helper.from_array(scaled, old.name))
    else:
        node.input[index] = f"{old.name}_{node.name}_scaled"
        graph.initializer.append(numpy_helper.from_array(scaled, node.input[index]))
