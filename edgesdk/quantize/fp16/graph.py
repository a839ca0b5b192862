"""What the steps to FP16 ask of a graph: who makes a tensor, who reads it, what is constant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.tensors import Floats

MOVES = frozenset(
    {
        "Identity",
        "Reshape",
        "Flatten",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Gather",
        "GatherElements",
        "GatherND",
        "Expand",
        "Tile",
        "Concat",
        "DepthToSpace",
        "SpaceToDepth",
        "Dropout",
    }
)
"""Operators that only move values: rounding before or after them is the same."""
PAIR = ("QuantizeLinear", "DequantizeLinear")
COUNTING = MOVES | {"Cast", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Floor", "Ceil", "Round"}
"""What is done with indices and positions, and with pixels before the first layer."""
SHAPE_ONLY = ("Shape", "Size")


@dataclass(frozen=True)
class View:
    """A model's graph with its links looked up once. The model is not changed."""

    model: Model

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """All nodes, each after those that it reads."""
        return list(self.model.proto.graph.node)

    @cached_property
    def constants(self) -> dict[str, Floats]:
        """Float32 constants by name."""
        return {
            t.name: numpy_helper.to_array(t)
            for t in self.model.proto.graph.initializer
            if t.data_type == TensorProto.FLOAT
        }

    @cached_property
    def producers(self) -> dict[str, onnx.NodeProto]:
        """Tensor -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def readers(self) -> dict[str, list[onnx.NodeProto]]:
        """Tensor -> the nodes that read it."""
        found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found[name].append(node)
        return dict(found)

    @cached_property
    def floats(self) -> frozenset[str]:
        """All float32 tensors. Raises ModelError where the type of a tensor is not known."""
        graph = self.model.proto.graph
        values = (*graph.value_info, *graph.input, *graph.output)
        kinds = {v.name: v.type.tensor_type.elem_type for v in values}
        typed = {v.name for v in values if v.type.WhichOneof("value") is not None}
        for name, node in self.producers.items():
            if name not in typed:
                raise ModelError(
                    f"the type of {name!r}, made by {node.op_type} {node.name!r}, is not known",
                    "export the model again with shape inference",
                )
        computed = {name for name, kind in kinds.items() if kind == TensorProto.FLOAT}
        return frozenset(computed | set(self.constants))

    @cached_property
    def independent(self) -> frozenset[str]:
        """Tensors that are the same for every picture: from constants and shapes alone."""
        fixed = {tensor.name for tensor in self.model.proto.graph.initializer} | {""}
        for node in self.nodes:
            if node.op_type in SHAPE_ONLY or all(name in fixed for name in node.input):
                fixed |= set(node.output)
        return frozenset(fixed)

    @cached_property
    def counted(self) -> frozenset[str]:
        """Float32 tensors computed from integers and constants alone: indices, grids, pixels."""
        found: set[str] = set()
        for node in self.nodes:
            read = [name for _, name in self.float_inputs(node)]
            exact = all(name in found or name in self.independent for name in read)
            if exact and node.op_type in COUNTING and (read or node.op_type == "Cast"):
                found |= set(self.float_outputs(node))
        return frozenset(found)

    def float_inputs(self, node: onnx.NodeProto) -> Iterator[tuple[int, str]]:
        """Index and name of the float32 tensors that a node reads."""
        return ((i, name) for i, name in enumerate(node.input) if name in self.floats)

    def float_outputs(self, node: onnx.NodeProto) -> list[str]:
        """Names of the float32 tensors that a node makes."""
        return [name for name in node.output if name in self.floats]

    def next_nodes(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that read what this one makes."""
        return [reader for name in node.output for reader in self.readers.get(name, ())]

    def is_exact(self, node: onnx.NodeProto) -> bool:
        """Whether a node computes from constants or integers alone: it stays float32.

        Only its result is rounded, once. float16 has no integers above 2048, which indices and
        positions need.
        """
        if node.op_type in MOVES or node.op_type in PAIR:
            return False
        made = self.float_outputs(node)
        return bool(made) and all(n in self.independent or n in self.counted for n in made)


def largest_of(values: Floats) -> float:
    """The largest magnitude; 0 for an empty constant."""
    return float(np.abs(values).max(initial=0))
