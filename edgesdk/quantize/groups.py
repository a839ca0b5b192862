"""Tensors between which INT8 only moves: through Concat, MaxPool, Reshape and the like.

TensorRT moves a Q backwards through operators that only move values. The inputs of a Concat whose
output is quantized become INT8 with the Concat's scale; where such an input is quantized on its
own as well, for a layer or a residual branch that reads it, its producer writes two INT8 tensors,
unless both scales are one. On DLA they have to be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import onnx

from edgesdk.model import Model
from edgesdk.model.edit import initializers

SHAPE_ONLY = frozenset(
    {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Split"}
)
"""Operators that move values without changing them."""
COMMUTING = SHAPE_ONLY | {"Concat", "MaxPool", "Dropout"}
"""Operators that a Q may be moved through; a nearest Resize too."""
POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
"""On DLA pooling reads and writes with one scale."""

Moves = Callable[[onnx.NodeProto], bool]


def moves_on_gpu(node: onnx.NodeProto) -> bool:
    """Whether INT8 passes through a node with the scale it came with."""
    if node.op_type == "Resize":
        mode = next((a.s for a in node.attribute if a.name == "mode"), b"nearest")
        return bool(mode == b"nearest")
    return node.op_type in COMMUTING


def moves_on_dla(node: onnx.NodeProto) -> bool:
    """The same for DLA, where all pooling keeps the scale."""
    return node.op_type in POOLS or moves_on_gpu(node)


def scale_groups(
    model: Model, tensors: Collection[str], moves: Moves = moves_on_gpu
) -> tuple[tuple[str, ...], ...]:
    """Tensors of `tensors`, the quantized ones, between which INT8 only moves; two or more each.

    A Q moves backwards only, so that what no quantized tensor is made of joins nothing. Order is
    that of `tensors`.
    """
    producers = {out: node for node in model.proto.graph.node for out in node.output}
    constants = initializers(model)
    groups: dict[str, set[str]] = {}
    todo, seen = list(tensors), set()
    while todo:
        tensor = todo.pop()
        node = producers.get(tensor)
        if tensor in seen or node is None or not moves(node):
            continue
        seen.add(tensor)
        sources = node.input if node.op_type == "Concat" else node.input[:1]
        for source in sources:
            if source not in constants:
                _join(groups, tensor, source)
                todo.append(source)
    found = {id(group): group for t in tensors if (group := groups.get(t))}
    ordered = (tuple(t for t in tensors if t in group) for group in found.values())
    return tuple(group for group in ordered if len(group) > 1)


def _join(groups: dict[str, set[str]], one: str, other: str) -> None:
    mine = groups.setdefault(one, {one})
    theirs = groups.setdefault(other, {other})
    if mine is not theirs:
        mine |= theirs
        groups.update(dict.fromkeys(theirs, mine))
