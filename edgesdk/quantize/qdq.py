"""Writes explicit QuantizeLinear/DequantizeLinear pairs in TensorRT's documented form.

Symmetric int8, zero point 0, scale = amax/127, one scale for an activation, one for each output
channel of a weight; weights are stored as int8; biases stay float (NVIDIA's guide "Working with
Quantized Types").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import fresh, initializers, names_in
from edgesdk.quantize.bias import add_to_bias
from edgesdk.quantize.branch import Branch
from edgesdk.quantize.int8 import LEVELS, round_weight, weight_scales
from edgesdk.quantize.layers import Layer
from edgesdk.tensors import Floats


@dataclass(frozen=True, eq=False)
class Corrected:
    """What was fitted for a layer instead of rounding its weight to nearest."""

    weight: NDArray[np.int8]
    """In the layout of the float weight."""
    plain: Floats
    """amax/127 of the float weight, one for each output channel."""
    scales: Floats
    """What `weight` was rounded with: `plain`, or the next number that FP16 holds."""
    bias: Floats
    """To add to the output when the weight has these scales; one for each output channel."""


def write_qdq(
    model: Model,
    amax: Mapping[str, float],
    layers: Sequence[Layer],
    corrected: Mapping[str, Corrected] | None = None,
    branches: Sequence[Branch] = (),
) -> Model:
    """A new model in which `layers` compute in INT8.

    `amax` has the range of each activation; `corrected` what layers (by node) get instead of
    weights rounded to nearest; `branches` are inputs of other nodes that get a pair as well.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    writer = _Writer(initializers(model), amax, corrected or {}, names_in(proto.graph))
    chosen = {layer.node: layer for layer in layers}
    inputs: dict[str, list[int]] = {}
    for branch in branches:
        inputs.setdefault(branch.node, []).append(branch.index)
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        if node.name in chosen:
            nodes += writer.quantize_layer(node, chosen[node.name])
        for index in inputs.get(node.name, ()):
            nodes += writer.quantize_input(node, index)
        nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(writer.made)
    for name, shift in writer.shifts.items():
        add_to_bias(proto.graph, name, shift)
    _drop_unused(proto.graph)
    del proto.graph.value_info[:]
    return Model.of(onnx.shape_inference.infer_shapes(proto), model.name)


class _Writer:
    """Makes each pair once, however many layers read the same tensor."""

    def __init__(
        self,
        weights: Mapping[str, onnx.TensorProto],
        amax: Mapping[str, float],
        corrected: Mapping[str, Corrected],
        taken: set[str],
    ) -> None:
        self._weights = weights
        self._taken = taken
        self._amax = amax
        self._corrected = corrected
        self._written: dict[tuple[str, str], str] = {}
        self.made: list[onnx.TensorProto] = []
        self.shifts: dict[str, Floats] = {}
        """What is to be added to the output of a node."""

    def quantize_layer(self, node: onnx.NodeProto, layer: Layer) -> list[onnx.NodeProto]:
        """Point the node at dequantized inputs; returns the nodes that must come before it."""
        fitted = self._corrected.get(layer.node)
        # A weight that two layers share may have been rounded for each of them.
        owner = layer.node if fitted else ""
        key = (layer.weight, owner)
        before = self.quantize_input(node, 0)
        if key not in self._written:
            before += self._weight(key, layer.axis, fitted)
        node.input[1] = self._written[key]
        return before

    def quantize_input(self, node: onnx.NodeProto, index: int) -> list[onnx.NodeProto]:
        """Point one input of the node at the dequantized tensor."""
        key = (node.input[index], "")
        nodes = [] if key in self._written else self._activation(node.input[index])
        node.input[index] = self._written[key]
        return nodes

    def _activation(self, tensor: str) -> list[onnx.NodeProto]:
        amax = self._amax[tensor]
        scale = np.float32((amax if amax > 0 else 1.0) / LEVELS)
        names = self._names(tensor, "scale", "zero_point")
        self._constants(names, np.array(scale, np.float32), np.array(0, np.int8))
        quantized, dequantized = self._names(tensor, "quantized", "dequantized")
        self._written[tensor, ""] = dequantized
        return [
            helper.make_node(
                "QuantizeLinear",
                [tensor, *names],
                [quantized],
                name=self._name(tensor, "QuantizeLinear"),
            ),
            helper.make_node(
                "DequantizeLinear",
                [quantized, *names],
                [dequantized],
                name=self._name(tensor, "DequantizeLinear"),
            ),
        ]

    def _weight(
        self, key: tuple[str, str], axis: int, fitted: Corrected | None
    ) -> list[onnx.NodeProto]:
        tensor, owner = key
        weight = numpy_helper.to_array(self._weights[tensor])
        scales = weight_scales(weight, axis)
        # Balancing may have multiplied output channels by powers of two since.
        moved = scales / fitted.plain if fitted else np.ones_like(scales)
        title = f"{tensor}_{owner}" if owner and f"{tensor}_scale" in self._taken else tensor
        names = self._names(title, "scale", "zero_point")
        if fitted:
            scales = fitted.scales * moved
        self._constants(names, scales, np.zeros(scales.shape, np.int8))
        stored, self._written[key] = self._names(title, "quantized", "dequantized")
        levels = fitted.weight if fitted else round_weight(weight, scales, axis)
        self._constants([stored], levels)
        if fitted and fitted.bias.any():
            self.shifts[owner] = fitted.bias * np.resize(moved, fitted.bias.shape)
        return [
            helper.make_node(
                "DequantizeLinear",
                [stored, *names],
                [self._written[key]],
                name=self._name(title, "DequantizeLinear"),
                axis=axis,
            )
        ]

    def _names(self, tensor: str, *suffixes: str) -> list[str]:
        return [self._name(tensor, suffix) for suffix in suffixes]

    def _name(self, tensor: str, suffix: str) -> str:
        return fresh(f"{tensor}_{suffix}", self._taken)

    def _constants(self, names: Sequence[str], *values: NDArray[np.generic]) -> None:
        pairs = zip(names, values, strict=True)
        self.made += [numpy_helper.from_array(value, name) for name, value in pairs]


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove float weights that no node reads any more."""
    read = {name for node in graph.node for name in node.input}
    read |= {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    if len(kept) < len(graph.initializer):
        copies = [onnx.TensorProto.FromString(t.SerializeToString()) for t in kept]
        del graph.initializer[:]
        graph.initializer.extend(copies)
