"""Ranges that no Q/DQ pair states, derived from those that pairs do state.

Pairs stand on the inputs of INT8 layers; implicit INT8 wants the range of their outputs as well.
Between an output and the next pair lie operators that fuse with the layer or only move values, so
the next pair's range A says what the output needs. Where a rule below is exact, values beyond the
derived range would be cut off by the next pair all the same:

    through                              the input's range
    Relu, Clip, MaxPool, all that moves  A
    Concat                               A for each input, as TensorRT has it
    BatchNormalization y = a x + b       the largest (A + |b|) / |a| of all channels
    Add, Sub with another input of B     A + B
    LeakyRelu, PRelu                     A: exact for values above -A; they fuse with their layer

and forwards through what only moves values, where nothing says it backwards. Everything else (a
product, a sigmoid, the end of the net) leaves a range unknown, unless calibration recorded it:
`unstated_tensors` says before calibration what it must look at. A recorded range goes back to the
layer by the same rules and never forwards: a Concat behind the last layers would get one scale for
all that it joins, and nothing there needs any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import initializers
from edgesdk.quantize.groups import moves_on_gpu
from edgesdk.tensors import Floats

SAME = frozenset({"Relu", "Clip", "LeakyRelu", "PRelu", "GlobalMaxPool"})
SUMS = frozenset({"Add", "Sub"})
FUSED = SAME | SUMS | {"BatchNormalization"}
"""One kernel with the layer before, so what lies between is not stored."""
EPSILON = 1e-5
"""ONNX's own for BatchNormalization."""


@dataclass(frozen=True)
class Derived:
    """Ranges by tensor."""

    ranges: dict[str, float]
    """Given and derived ones."""
    sources: dict[str, str] = field(default_factory=dict)
    """Derived tensor -> the node that it was derived through."""


def derive_ranges(
    model: Model,
    given: Mapping[str, float],
    int8_nodes: Collection[str],
    known: Mapping[str, float],
    recorded: Mapping[str, float],
) -> Derived:
    """All ranges of tensors that come out of INT8 nodes, as far as they follow from `given`.

    `model` is a prepared float model without pairs; `known` are ranges that calibration saw and no
    pair states, `recorded` those that it saw of what nothing else says. Tensors that nodes outside
    `int8_nodes` make get none of them: they would become INT8 where the bundle has float.
    """
    graph = _Graph(model)
    carried = graph.carried(int8_nodes, given)
    found = Derived({t: amax for t, amax in known.items() if t in carried} | dict(given))
    while _one_round(graph, found, carried):
        pass
    for tensor, amax in recorded.items():
        if tensor in carried:
            found.ranges.setdefault(tensor, amax)
    _all_backwards(graph, found, carried)
    return found


def unstated_tensors(
    model: Model, stated: Collection[str], int8_nodes: Collection[str]
) -> tuple[str, ...]:
    """Tensors that implicit INT8 needs the range of when pairs stand on `stated` alone.

    Of a layer that fuses with what follows it is the last of these tensors: the others follow.
    """
    pairs = dict.fromkeys(stated, 1.0)
    found = derive_ranges(model, pairs, int8_nodes, {}, {})
    graph = _Graph(model)
    lacking = [t for _, tensors in _lacking(model, int8_nodes, found.ranges) for t in tensors]
    ends = dict.fromkeys((graph.fused_end(t) for t in lacking), 1.0)
    found = derive_ranges(model, pairs, int8_nodes, {}, ends)
    rest = [t for _, tensors in _lacking(model, int8_nodes, found.ranges) for t in tensors]
    return tuple(dict.fromkeys([*(t for t in ends if t not in pairs), *rest]))


def _all_backwards(graph: _Graph, found: Derived, carried: Collection[str]) -> None:
    for tensor in reversed(graph.computed):
        if tensor in carried and tensor not in found.ranges:
            _set(found, tensor, graph.backwards(tensor, found.ranges))


def _one_round(graph: _Graph, found: Derived, carried: Collection[str]) -> bool:
    """Backwards, then forwards; True when something was found."""
    before = len(found.ranges)
    _all_backwards(graph, found, carried)
    for tensor in graph.computed:
        if tensor in carried and tensor not in found.ranges:
            _set(found, tensor, graph.forwards(tensor, found.ranges))
    return len(found.ranges) > before


def _set(found: Derived, tensor: str, result: tuple[float, str] | None) -> None:
    if result is not None:
        found.ranges[tensor], found.sources[tensor] = result


class _Graph:
    """Reads a graph for what follows from the range of a neighbour."""

    def __init__(self, model: Model) -> None:
        graph = model.proto.graph
        self._nodes = list(graph.node)
        self._tensors = initializers(model)
        self._makers = {out: node for node in graph.node for out in node.output}
        self._outputs = {value.name for value in graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                self._readers.setdefault(name, []).append(node)
        self.computed = list(self._makers)
        """In the order of the graph."""

    def carried(self, int8_nodes: Collection[str], given: Collection[str]) -> set[str]:
        """Tensors that INT8 comes out of: of INT8 nodes, and of what fuses or moves after them."""
        found: set[str] = set()
        for node in self._nodes:
            passes = moves_on_gpu(node) or node.op_type in FUSED
            fed = any(name in found or name in given for name in node.input)
            if node.name in int8_nodes or (passes and fed):
                found |= set(node.output)
        return found

    def backwards(self, tensor: str, ranges: Mapping[str, float]) -> tuple[float, str] | None:
        """The largest range that a reader of the tensor needs; None where one does not say."""
        readers = self._readers.get(tensor, [])
        if tensor in self._outputs or not readers:
            return None
        needs = [(self._need(node, tensor, ranges), node.name) for node in readers]
        if any(need is None for need, _ in needs):
            return None
        return max((need, name) for need, name in needs if need is not None)

    def forwards(self, tensor: str, ranges: Mapping[str, float]) -> tuple[float, str] | None:
        """The range of what a node only moved."""
        node = self._makers[tensor]
        if not moves_on_gpu(node):
            return None
        joined = node.input if node.op_type == "Concat" else node.input[:1]
        known = [self._largest(name, ranges) for name in joined]
        if any(amax is None for amax in known):
            return None
        return max(amax for amax in known if amax is not None), node.name

    def fused_end(self, tensor: str) -> str:
        """The tensor at the end of the one kernel that makes this one."""
        while tensor not in self._outputs:
            readers = self._readers.get(tensor, [])
            if len(readers) != 1 or readers[0].op_type not in FUSED - SUMS:
                return tensor
            if readers[0].input[0] != tensor:
                return tensor
            tensor = readers[0].output[0]
        return tensor

    def _need(self, node: onnx.NodeProto, tensor: str, ranges: Mapping[str, float]) -> float | None:
        """What this reader needs of the tensor."""
        known = [ranges.get(name) for name in node.output if name]
        if any(amax is None for amax in known) or not known:
            return None
        amax = max(value for value in known if value is not None)
        if node.op_type == "BatchNormalization":
            return self._before_scaling(node, amax)
        if node.op_type in SUMS and len(node.input) == 2:
            others = [self._largest(name, ranges) for name in node.input if name != tensor]
            # x + x has no other: half the range would do, and the whole one is no loss.
            return None if None in others else amax + sum(value or 0.0 for value in others)
        return amax if node.op_type in SAME or moves_on_gpu(node) else None

    def _largest(self, tensor: str, ranges: Mapping[str, float]) -> float | None:
        values = self._constant(tensor)
        return ranges.get(tensor) if values is None else float(np.abs(values).max(initial=0.0))

    def _before_scaling(self, node: onnx.NodeProto, amax: float) -> float | None:
        constants = [self._constant(name) for name in node.input[1:5]]
        if any(values is None for values in constants):
            return None
        scale, bias, mean, var = (np.asarray(v, np.float64) for v in constants)
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), EPSILON)
        factor = scale / np.sqrt(var + epsilon)
        alive = factor != 0
        reach = (amax + np.abs(bias - mean * factor)[alive]) / np.abs(factor[alive])
        return float(reach.max()) if reach.size else None

    def _constant(self, name: str) -> Floats | None:
        tensor = self._tensors.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)


def missing_ranges(
    model: Model, nodes: Collection[str], ranges: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Of these nodes, those that cannot be INT8, each with a tensor that has no range."""
    return ((node, lacking[-1]) for node, lacking in _lacking(model, nodes, ranges))


def end_of_kernel(model: Model, tensor: str) -> str:
    """The last tensor that is made in one kernel with this one."""
    return _Graph(model).fused_end(tensor)


def _lacking(
    model: Model, nodes: Collection[str], ranges: Collection[str]
) -> Iterator[tuple[str, list[str]]]:
    constants = initializers(model)
    for node in model.proto.graph.node:
        if node.name in nodes:
            tensors = [name for name in (*node.input, *node.output) if name not in constants]
            lacking = [name for name in tensors if name and name not in ranges]
            if lacking:
                yield node.name, lacking
