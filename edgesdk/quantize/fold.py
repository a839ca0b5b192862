"""Folding channel factors into the layer that makes a tensor, where that is exact and free."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Folded:
    """Where factors went."""

    node: str
    """That multiplies."""
    tensors: tuple[str, ...]
    """That are multiplied now, from the node on to the one that was asked for."""


def fold_into_producer(
    graph: onnx.GraphProto, tensor: str, readers: Set[str], powers: Ints
) -> Folded | None:
    """Multiply channel c of `tensor` by 2**powers[c] inside the node that makes it.

    `readers` are the nodes that expect the scaled tensor. None, with the graph unchanged, where
    anything else would see the change or it would not be exact.
    """
    producer = _scalable_producer(graph, tensor, readers)
    if producer is None:
        return None
    for index in SCALED_INPUTS[producer.op_type]:
        if index < len(producer.input) and producer.input[index]:
            _multiply(graph, producer, index, powers)
    return Folded(producer.name, _way(graph, producer.output[0], tensor))


def _way(graph: onnx.GraphProto, first: str, last: str) -> tuple[str, ...]:
    """Tensors between two on a way without branches."""
    makers = {name: node for node in graph.node for name in node.output}
    found = [last]
    while found[-1] != first:
        found.append(makers[found[-1]].input[0])
    return tuple(reversed(found))


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
