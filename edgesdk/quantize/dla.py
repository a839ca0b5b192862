"""What NVIDIA's deep-learning accelerator computes in INT8, and where its pairs go.

DLA runs whole stretches of a net by itself, and there each tensor needs a range: pairs stand on the
inputs of all its operators, save those that it fuses with the one before. What it has is NVIDIA's
operator matrix for Orin (Deep-Learning-Accelerator-SW, operators/README.md); the limits are those
of "DLA Supported Layers and Restrictions" in TensorRT's guide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx
from onnx import numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import initializers, value_shapes
from edgesdk.quantize.branch import Branch
from edgesdk.quantize.groups import SHAPE_ONLY
from edgesdk.quantize.layers import Layer

ELEMENTWISE = frozenset({"Add", "Sub", "Mul", "Sum", "Max", "Min"})
POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
AVERAGES = frozenset({"AveragePool", "GlobalAveragePool"})
FUSED = frozenset({"Relu", "LeakyRelu", "PRelu", "Clip", "BatchNormalization"})
"""One kernel with the operator before, where nothing else reads that one's output."""
FUSING = frozenset({"Conv", "ConvTranspose", "BatchNormalization", "Add"})
ACTIVATIONS = FUSED | {"Sigmoid", "Tanh"}
GATES = ACTIVATIONS | {"Mul"}
PAIRED = ELEMENTWISE | POOLS | ACTIVATIONS | {"Concat", "Resize"}
"""Operators that get pairs on their inputs."""
MOVING = (SHAPE_ONLY - {"Squeeze", "Unsqueeze", "Flatten", "Identity"}) | {"Dropout"}
"""What DLA has of the operators that only move values: they get no pair of their own."""
LAYERS = frozenset({"Conv", "ConvTranspose", "MatMul"})

Limits = tuple[tuple[str, int, int], ...]

LIMITS: Mapping[str, Limits] = {
    "Conv": (
        ("kernel_shape", 1, 32),
        ("pads", 0, 31),
        ("strides", 1, 8),
        ("dilations", 1, 32),
    ),
    "ConvTranspose": (("pads", 0, 0), ("group", 1, 1), ("dilations", 1, 1)),
    "MaxPool": (("kernel_shape", 1, 8), ("strides", 1, 16)),
    "AveragePool": (("kernel_shape", 1, 8), ("strides", 1, 16)),
}
"""Attribute -> least and largest value."""
WORDS = {
    "kernel_shape": "a window",
    "pads": "padding",
    "strides": "strides",
    "dilations": "dilations",
    "group": "groups",
}
LARGEST = 8192
"""Of any dimension."""
RANK = 4


def unfit_layers(model: Model, layers: Sequence[Layer]) -> dict[str, str]:
    """Layers that DLA does not compute in INT8 -> why."""
    look = _Look(model)
    nodes = {node.name: node for node in model.proto.graph.node}
    found = {layer.node: look.why_not(nodes[layer.node]) for layer in layers}
    return {node: why for node, why in found.items() if why}


def dla_inputs(model: Model, layers: Sequence[Layer]) -> tuple[tuple[Branch, ...], dict[str, str]]:
    """Inputs beside the layers' that get a pair, and operators that cannot have one -> why.

    It goes back from what runs in INT8 for certain: the layers, and averages of their outputs.
    What lies behind those (decoders, box arithmetic) is left alone.
    """
    look = _Look(model)
    chosen = {layer.node: layer for layer in layers}
    made = _made_of(model, chosen)
    reached: set[str] = set()
    pairs: list[Branch] = []
    left: dict[str, str] = {}
    for node in reversed(model.proto.graph.node):
        if node.name in chosen:
            reached.add(chosen[node.name].activation)
            continue
        why = look.why_not(node)
        average = node.op_type in AVERAGES and node.input[0] in made and not why
        if not average and not reached & set(node.output):
            continue
        inputs = look.activations(node)
        reached |= {node.input[i] for i in inputs}
        if why:
            left[node.name] = why
        elif node.op_type in PAIRED and not look.is_fused(node):
            owner = look.owner(node, chosen)
            pairs += [Branch(node.name, i, node.input[i], owner) for i in inputs]
    return tuple(reversed(pairs)), left


def _made_of(model: Model, chosen: Mapping[str, Layer]) -> set[str]:
    """Tensors that a layer in INT8 leads to through operators that DLA has."""
    found: set[str] = set()
    for node in model.proto.graph.node:
        known = node.op_type in PAIRED or node.op_type in MOVING
        if node.name in chosen or (known and found & set(node.input)):
            found |= set(node.output)
    return found


class _Look:
    """Reads a graph for what DLA asks of its operators."""

    def __init__(self, model: Model) -> None:
        graph = model.proto.graph
        self._constants = initializers(model)
        self._shapes = value_shapes(model)
        self._producers = {out: node for node in graph.node for out in node.output}
        self._readers: dict[str, int] = {}
        for name in [n for node in graph.node for n in node.input] + [o.name for o in graph.output]:
            self._readers[name] = self._readers.get(name, 0) + 1

    def activations(self, node: onnx.NodeProto) -> list[int]:
        """Indices of the inputs that are no constants."""
        return [i for i, name in enumerate(node.input) if name and name not in self._constants]

    def is_fused(self, node: onnx.NodeProto) -> bool:
        """Whether the node runs in one kernel with the one before it."""
        maker = self._producers.get(node.input[0])
        alone = self._readers[node.input[0]] == 1
        return alone and node.op_type in FUSED and maker is not None and maker.op_type in FUSING

    def owner(self, node: onnx.NodeProto, layers: Collection[str]) -> str:
        """The layer of which a node is the activation, alone or as a gate: x * sigmoid(x).

        In float, such a layer takes its activation with it. Empty: there is none.
        """
        if node.op_type not in GATES:
            return ""
        makers = {self._behind(node.input[i]) for i in self.activations(node)}
        return makers.pop() if len(makers) == 1 and makers <= {*layers} else ""

    def _behind(self, tensor: str) -> str:
        node = self._producers.get(tensor)
        while node is not None and node.op_type in ACTIVATIONS:
            node = self._producers.get(node.input[0])
        return node.name if node is not None else ""

    def why_not(self, node: onnx.NodeProto) -> str:
        """Why DLA does not run the node in INT8; empty: it does."""
        kind = node.op_type
        if kind == "Gemm":
            return "DLA has no Gemm; as a convolution of 1x1 it would run"
        if kind not in PAIRED and kind not in MOVING and kind not in LAYERS:
            return f"DLA has no {kind} in INT8"
        shapes = [self._shapes.get(node.input[i], ()) for i in self.activations(node)]
        if any(len(shape) != RANK for shape in shapes):
            return f"DLA takes tensors of {RANK} dimensions, found {len(shapes[0])}"
        if max((size for shape in shapes for size in shape), default=0) > LARGEST:
            return f"DLA takes sizes up to {LARGEST}"
        return self._beyond_limits(node) or self._special(node, shapes)

    def _beyond_limits(self, node: onnx.NodeProto) -> str:
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type in LAYERS and "kernel_shape" not in given:
            given["kernel_shape"] = list(self._shapes.get(node.input[1], ())[2:])
        for name, least, most in LIMITS.get(node.op_type, ()):
            values = given.get(name, [])
            for value in values if isinstance(values, list) else [values]:
                if not least <= value <= most:
                    allowed = f"{least} to {most}" if least < most else str(most)
                    return f"DLA takes {WORDS[name]} of {allowed} here, found {value}"
        return ""

    def _special(self, node: onnx.NodeProto, shapes: Sequence[tuple[int, ...]]) -> str:
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Concat" and given.get("axis") not in (1, 1 - RANK):
            return f"DLA joins channels only, found axis {given.get('axis')}"
        if node.op_type == "Resize" and given.get("mode", b"nearest") == b"cubic":
            return "DLA resizes nearest or bilinear, found cubic"
        if node.op_type == "Clip" and self._value(node, 1) != 0:
            return "DLA clips from 0 only"
        if node.op_type in ELEMENTWISE and len({s for s in shapes if s[2:] != (1, 1)}) > 1:
            return "DLA spreads one value over a channel, not over places"
        return ""

    def _value(self, node: onnx.NodeProto, index: int) -> float | None:
        name = node.input[index] if index < len(node.input) else ""
        if name not in self._constants:
            return None
        return float(numpy_helper.to_array(self._constants[name]).reshape(-1)[0])
