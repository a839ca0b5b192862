"""Everything that does not depend on the input becomes a constant.

Exporters compute sizes inside the graph (Shape, Slice, Concat before a Reshape) and pass weights
through Identity. Once the input's size is fixed, these are constants; without that, shape inference
stops in the middle of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.model.edit import value_shapes
from edgesdk.model.model import Model
from edgesdk.tensors import Array

SIZES = {"Constant", "ConstantOfShape", "Range", "Shape", "Size"}
MOVES = {"Gather", "Slice", "Split", "Concat", "Unsqueeze", "Squeeze", "Reshape", "Flatten"}
MOVES |= {"Transpose", "Expand", "Tile", "Cast", "Identity", "Where"}
SUMS = {"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Floor", "Ceil", "Min", "Max", "Pow"}
SUMS |= {"Sqrt", "ReduceProd", "Equal", "Less", "Greater", "And", "Or", "Not"}
FOLDED = frozenset(SIZES | MOVES | SUMS)
"""Operators that numpy computes as every engine does; never a pair of Q/DQ."""
MOST_VALUES = 1 << 22
"""Larger constants are left to the engine: the file should not grow by them."""


def fold_constants(
    proto: onnx.ModelProto, infer: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> onnx.ModelProto:
    """The model with constants folded and shapes inferred by `infer`; `proto` is changed.

    Each round of inference may fix a size that the next fold needs.
    """
    _drop_dead(proto.graph)
    inferred = infer(proto)
    while _fold(inferred):
        _drop_dead(inferred.graph)
        del inferred.graph.value_info[:]
        inferred = infer(inferred)
    return inferred


def _fold(proto: onnx.ModelProto) -> bool:
    """One pass in graph order. True when a node went."""
    graph = proto.graph
    shapes = value_shapes(Model.of(proto, digest="unused"))
    known = {t.name: t for t in graph.initializer}
    outputs = {value.name for value in graph.output}
    nested = any(a.HasField("g") for node in graph.node for a in node.attribute)
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs and not nested:
            same[node.output[0]] = node.input[0]
            continue
        tensors = [] if outputs & set(node.output) else _folded(proto, node, known, shapes)
        known.update((t.name, t) for t in tensors)
        graph.initializer.extend(tensors)
        if not tensors:
            kept.append(node)
    changed = len(kept) < len(graph.node)
    _replace(graph, kept)
    return changed


def _folded(
    proto: onnx.ModelProto,
    node: onnx.NodeProto,
    known: dict[str, onnx.TensorProto],
    shapes: dict[str, tuple[int, ...]],
) -> list[onnx.TensorProto]:
    """The node's outputs as constants; none when they are not, or too large."""
    if node.op_type not in FOLDED or node.domain not in ("", "ai.onnx"):
        return []
    if any(prod(shapes.get(name, ())) > MOST_VALUES for name in node.output):
        return []
    if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
        feeds = {node.input[0]: _of_shape(shapes[node.input[0]])}
    elif all(name in known for name in node.input if name):
        feeds = {n: numpy_helper.to_array(known[n]) for n in node.input if n}
    else:
        return []
    try:
        values = _evaluate(proto, node, feeds)
    except (IndexError, TypeError, ValueError, RuntimeError):
        return []  # a malformed node: shape inference or the engine names it better
    if any(np.size(value) > MOST_VALUES for value in values):
        return []
    pairs = zip(node.output, values, strict=True)
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in pairs]


def _of_shape(shape: Sequence[int]) -> Array:
    """An array of that shape which takes no memory."""
    return np.broadcast_to(np.zeros((), np.float32), tuple(shape))


def _evaluate(proto: onnx.ModelProto, node: onnx.NodeProto, feeds: dict[str, Array]) -> list[Array]:
    values = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in feeds.items()
    ]
    results = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = onnx.helper.make_graph([node], "constant", values, results)
    model = onnx.helper.make_model(graph, opset_imports=list(proto.opset_import))
    found: list[Array] = ReferenceEvaluator(model).run(None, feeds)
    return found


def _drop_dead(graph: onnx.GraphProto) -> None:
    """Nodes and constants whose results nobody reads any more."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(_reads(node))
    _replace(graph, kept[::-1])
    weights = [t for t in graph.initializer if t.name in wanted]
    if len(weights) < len(graph.initializer):
        copies = [onnx.TensorProto.FromString(t.SerializeToString()) for t in weights]
        del graph.initializer[:]
        graph.initializer.extend(copies)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Its inputs, and all that graphs inside it name."""
    yield from node.input
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            yield from (value.name for value in inner.output)
            for child in inner.node:
                yield from _reads(child)


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    if len(nodes) < len(graph.node):
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
