"""Adding to a layer's bias: what INT8 takes from the mean of a channel is given back there."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.model.edit import fresh, names_in
from edgesdk.tensors import Floats


def carries_bias(graph: onnx.GraphProto, name: str) -> bool:
    """Whether `add_to_bias` would find a place at the node called `name`."""
    return _place(graph, _called(graph, name)) is not None


def add_to_bias(graph: onnx.GraphProto, name: str, shift: Floats) -> bool:
    """Add `shift`, one value for each output channel, to the product that a node computes.

    It goes into the node's own bias, or into the constant that an Add behind a MatMul brings.
    False, with the graph unchanged, where there is no such place.
    """
    node = _called(graph, name)
    place = _place(graph, node)
    if place is None:
        return False
    holder, index = place
    _add_to_input(graph, holder, index, (shift * _factor(node)).astype(np.float32))
    return True


def _called(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    return next(node for node in graph.node if node.name == name)


def _place(graph: onnx.GraphProto, node: onnx.NodeProto) -> tuple[onnx.NodeProto, int] | None:
    """The node, and which of its inputs, that brings or could bring the bias."""
    if node.op_type == "MatMul":
        return _place_behind(graph, node)
    if len(node.input) < 3 or not node.input[2]:
        return (node, 2) if _factor(node) else None
    known = any(tensor.name == node.input[2] for tensor in graph.initializer)
    return (node, 2) if known and _factor(node) else None


def _place_behind(
    graph: onnx.GraphProto, node: onnx.NodeProto
) -> tuple[onnx.NodeProto, int] | None:
    readers = [n for n in graph.node if node.output[0] in n.input]
    if len(readers) != 1 or readers[0].op_type != "Add":
        return None
    if node.output[0] in {value.name for value in graph.output}:
        return None
    index = 1 - list(readers[0].input).index(node.output[0])
    known = any(tensor.name == readers[0].input[index] for tensor in graph.initializer)
    return (readers[0], index) if known else None


def _factor(node: onnx.NodeProto) -> float:
    """What the bias must grow by where the product lacks 1: Gemm is alpha A B + beta C."""
    if node.op_type != "Gemm":
        return 1.0
    given = {a.name: a.f for a in node.attribute if a.name in ("alpha", "beta")}
    beta = given.get("beta", 1.0)
    return given.get("alpha", 1.0) / beta if beta else 0.0


def _add_to_input(graph: onnx.GraphProto, node: onnx.NodeProto, index: int, shift: Floats) -> None:
    """Write the sum into the constant, or into one of the node's own where others read it too."""
    old = node.input[index] if index < len(node.input) else ""
    constant = next((t for t in graph.initializer if old and t.name == old), None)
    total = shift if constant is None else numpy_helper.to_array(constant) + shift
    alone = sum(list(n.input).count(old) for n in graph.node) == 1
    if constant is not None and alone:
        constant.CopyFrom(numpy_helper.from_array(total.astype(np.float32), old))
        return
    name = fresh(f"{old or node.name}_{node.name if old else 'bias'}", names_in(graph))
    graph.initializer.append(numpy_helper.from_array(total.astype(np.float32), name))
    inputs = [*node.input[:index], name, *node.input[index + 1 :]]
    del node.input[:]
    node.input.extend(inputs)
