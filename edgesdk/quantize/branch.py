"""Inputs beside the layers' own that get a pair: the skipping branches of residual additions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from edgesdk.model import Model
from edgesdk.model.edit import initializers, value_shapes
from edgesdk.quantize.layers import Layer


@dataclass(frozen=True)
class Branch:
    """An input of an operator, not a layer's, that gets a pair."""

    node: str
    index: int
    tensor: str
    layer: str
    """It has its pair while this layer is INT8: the one whose output it is added to, or (DLA) whose
    activation the operator is. Empty: always."""


def residual_branches(model: Model, layers: Sequence[Layer]) -> tuple[Branch, ...]:
    """The branch that skips, for each addition to the direct output of a layer.

    TensorRT fuses Conv and Add into one kernel when the other input comes in INT8. Where both
    inputs are outputs of layers, the later one fuses.
    """
    graph = model.proto.graph
    shapes = value_shapes(model)
    constants = initializers(model)
    order = {node.name: i for i, node in enumerate(graph.node)}
    readers: dict[str, int] = {}
    for name in [n for node in graph.node for n in node.input] + [v.name for v in graph.output]:
        readers[name] = readers.get(name, 0) + 1
    producers = {out: node for node in graph.node for out in node.output}
    convolutions = {r.node for r in layers if r.operator in ("Conv", "ConvTranspose")}
    found = []
    for node in graph.node:
        if node.op_type != "Add" or any(name in constants for name in node.input):
            continue
        if len({shapes.get(name) for name in node.input}) > 1:
            continue
        fused = {
            i: maker
            for i, name in enumerate(node.input)
            if readers[name] == 1
            and (maker := _layer_behind(producers, readers, name, convolutions))
        }
        if fused:
            index = max(fused, key=lambda i: order[fused[i]])
            found.append(Branch(node.name, 1 - index, node.input[1 - index], fused[index]))
    return tuple(found)


def _layer_behind(
    producers: Mapping[str, onnx.NodeProto],
    readers: Mapping[str, int],
    tensor: str,
    layers: set[str],
) -> str:
    """The layer that makes the tensor, maybe with a BatchNormalization; empty: none."""
    node = producers.get(tensor)
    if node is not None and node.op_type == "BatchNormalization" and readers[node.input[0]] == 1:
        node = producers.get(node.input[0])
    return str(node.name) if node is not None and node.name in layers else ""
