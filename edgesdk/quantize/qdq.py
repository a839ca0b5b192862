"""Writes explicit QuantizeLinear/DequantizeLinear pairs in TensorRT's documented form.

Symmetric int8, zero point 0, scale = amax/127, one scale for an activation, one for each output
channel of a weight; weights are stored as int8; biases stay float (NVIDIA's guide "Working with
Quantized Types").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgesdk.calibration import CalibrationTable
from edgesdk.model import Model
from edgesdk.model.edit import fresh, initializers, names_in
from edgesdk.quantize.layers import Layer
from edgesdk.tensors import Floats

LEVELS = 127


def write_qdq(model: Model, table: CalibrationTable, layers: Sequence[Layer]) -> Model:
    """A new model in which `layers` compute in INT8. `table` has a range for each activation."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    chosen = {layer.node: layer for layer in layers}
    writer = _Writer(initializers(model), table, names_in(proto.graph))
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        if node.name in chosen:
            nodes += writer.quantize_inputs(node, chosen[node.name])
        nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(writer.made)
    _drop_unused(proto.graph)
    del proto.graph.value_info[:]
    return Model.of(onnx.shape_inference.infer_shapes(proto), model.name)


def weight_scales(weight: Floats, axis: int) -> Floats:
    """amax/127 for each output channel; an all-zero channel gets the scale 1/127."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    amax = np.abs(weight).max(axis=others)
    # The smallest scale whose inverse is still finite: a scale of 0 is refused by TensorRT.
    amax = np.where(amax > 0, np.maximum(amax, np.finfo(np.float32).tiny * LEVELS), 1.0)
    scales: Floats = (amax / LEVELS).astype(np.float32)
    return scales


def round_weight(weight: Floats, scales: Floats, axis: int) -> NDArray[np.int8]:
    """Round half to even onto -127..127."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    rounded = np.clip(np.rint(weight / scales.reshape(shape)), -LEVELS, LEVELS)
    stored: NDArray[np.int8] = rounded.astype(np.int8)
    return stored


class _Writer:
    """Makes each pair once, however many layers read the same tensor."""

    def __init__(
        self, weights: dict[str, onnx.TensorProto], table: CalibrationTable, taken: set[str]
    ) -> None:
        self._weights = weights
        self._taken = taken
        self._table = table
        self._written: dict[str, str] = {}
        self.made: list[onnx.TensorProto] = []

    def quantize_inputs(self, node: onnx.NodeProto, layer: Layer) -> list[onnx.NodeProto]:
        """Point the node at dequantized inputs; returns the nodes that must come before it."""
        nodes: list[onnx.NodeProto] = []
        for index, tensor in enumerate((layer.activation, layer.weight)):
            if tensor not in self._written:
                is_weight = index == 1
                nodes += self._weight(tensor, layer.axis) if is_weight else self._activation(tensor)
            node.input[index] = self._written[tensor]
        return nodes

    def _activation(self, tensor: str) -> list[onnx.NodeProto]:
        amax = self._table.ranges[tensor].amax
        scale = np.float32((amax if amax > 0 else 1.0) / LEVELS)
        names = self._names(tensor, "scale", "zero_point")
        self._constants(names, np.array(scale, np.float32), np.array(0, np.int8))
        quantized, dequantized = self._names(tensor, "quantized", "dequantized")
        self._written[tensor] = dequantized
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

    def _weight(self, tensor: str, axis: int) -> list[onnx.NodeProto]:
        weight = numpy_helper.to_array(self._weights[tensor])
        scales = weight_scales(weight, axis)
        names = self._names(tensor, "scale", "zero_point")
        self._constants(names, scales, np.zeros(scales.shape, np.int8))
        stored, self._written[tensor] = self._names(tensor, "quantized", "dequantized")
        self._constants([stored], round_weight(weight, scales, axis))
        return [
            helper.make_node(
                "DequantizeLinear",
                [stored, *names],
                [self._written[tensor]],
                name=self._name(tensor, "DequantizeLinear"),
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
