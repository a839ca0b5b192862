"""Normalisations written as single operators: mean, difference, square, mean, epsilon, root."""

from __future__ import annotations

import onnx

from edgesdk.quantize.fp16.graph import MOVES, View

REDUCTIONS = frozenset({"ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "ReduceL1"})
INVERTING = frozenset({"Sqrt", "Reciprocal", "Pow", "Log"})


def protected_by(view: View, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes around one that adds an epsilon (or holds a value above it).

    Before it the sum of squares, after it the root and the division: an epsilon that float16
    would lose protects nothing when its neighbours are rounded to float16.
    """
    return [*_before(view, node), *_after(view, node)]


def normalisations(view: View) -> list[list[onnx.NodeProto]]:
    """The nodes of each normalisation in the graph."""
    found = []
    for node in view.nodes:
        if node.op_type in ("Add", "Max", "Clip"):
            before, after = _before(view, node), _after(view, node)
            if before and any(n.op_type in INVERTING | {"Div"} for n in after):
                found.append([*before, node, *after])
    return found


def _before(view: View, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The reduction that feeds it, the square before that, the difference and its mean."""
    for name in node.input:
        reduction = view.producers.get(name)
        if reduction is None or reduction.op_type not in REDUCTIONS:
            continue
        square = view.producers.get(reduction.input[0])
        if square is None or not is_square(view, square):
            return [reduction]
        difference = view.producers.get(square.input[0])
        if difference is None or difference.op_type != "Sub":
            return [square, reduction]
        means = [view.producers.get(n) for n in difference.input]
        mean = [m for m in means if m is not None and m.op_type == "ReduceMean"]
        return [*mean, difference, square, reduction]
    return []


def is_square(view: View, node: onnx.NodeProto) -> bool:
    """x * x, or x to the power of 2."""
    if node.op_type == "Mul":
        return bool(node.input[0] == node.input[1])
    exponent = view.constants.get(node.input[1]) if node.op_type == "Pow" else None
    return exponent is not None and bool((exponent == 2).all())


def _after(view: View, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Roots, inverses and moves up to the division, or to the product with an inverse."""
    found: list[onnx.NodeProto] = []
    front = [(node, False)]
    while front:
        current, inverted = front.pop()
        for reader in view.next_nodes(current):
            if reader.op_type in INVERTING or reader.op_type in MOVES:
                found.append(reader)
                front.append((reader, inverted or reader.op_type in ("Reciprocal", "Pow")))
            elif reader.op_type == "Div" and reader.input[1] in current.output:
                found.append(reader)
                if reader.input[0] in view.independent:  # 1 / root: the product comes after it
                    front.append((reader, True))
            elif reader.op_type == "Mul" and inverted:
                found.append(reader)
    return found
