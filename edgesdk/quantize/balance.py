"""Channel balancing: bring the channels of a tensor to like magnitudes before one scale rounds all.

Channel c is multiplied by 2**shift before the layer, and the layer's weights for it are divided
by the same. Powers of two make both exact, so the float model's answers stay the same bit for bit.
The factor is SmoothQuant's (Xiao et al., arXiv:2211.10438): the exponent says how much of the
spread goes to the weights. Several are offered; which one a tensor gets, the error of its layers'
outputs decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgesdk.calibration.histogram import ChannelHistogram, Ints
from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in, value_shapes
from edgesdk.quantize.fold import fold_into_producer
from edgesdk.quantize.layers import Layer
from edgesdk.tensors import Floats

LIMIT = 12
"""A channel is moved by at most 2**LIMIT."""

EXPONENTS = (0.25, 0.5, 0.75, 1.0)
"""0.5 shares the spread out evenly; 1 makes all channels of the activation alike."""

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Balanced:
    """A float model with balanced channels, and where their factors went."""

    model: Model
    layers: tuple[Layer, ...]
    """The same layers, reading the balanced tensors."""
    carriers: dict[str, str]
    """Original tensor -> the node that carries its factors: a new Mul, or its producer."""
    scaled: dict[str, Ints]
    """Tensor that kept its name -> the power of two that each of its channels is multiplied by."""


def balancing_candidates(
    histogram: ChannelHistogram, readers: Sequence[Layer], weights: Sequence[Floats]
) -> tuple[Ints, ...]:
    """Powers of two for each channel, one array for each exponent worth a try; maybe none."""
    sizes = [_weight_amax(w, r) for w, r in zip(weights, readers, strict=True)]
    if any(len(size) != len(histogram.largest) for size in sizes):
        return ()  # the channels are laid out otherwise than the weight says
    if len({reader.input_axis for reader in readers}) > 1:
        return ()  # a convolution and a matrix product see different axes as channels
    depthwise = all(r.groups == len(histogram.largest) for r in readers)
    largest = histogram.largest.astype(np.float64)
    found = [_shifts(largest, sizes, exponent, depthwise) for exponent in EXPONENTS]
    unique = {shifts.tobytes(): shifts for shifts in found if shifts.any()}
    return tuple(unique.values())


def balance(model: Model, layers: Sequence[Layer], shifts: Mapping[str, Ints]) -> Balanced:
    """Write the factors into a new model; its answers are those of `model`, bit for bit."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    carriers: dict[str, str] = {}
    scaled: dict[str, Ints] = {}
    shapes = value_shapes(model)
    for tensor, powers in shifts.items():
        readers = [layer for layer in layers if layer.activation == tensor]
        for reader in readers:
            _divide_weight(proto.graph, reader, powers)
        nodes = {reader.node for reader in readers}
        on_channels = readers[0].input_axis == 1
        folded = fold_into_producer(proto.graph, tensor, nodes, powers) if on_channels else None
        if folded:
            carriers[tensor] = folded.node
            scaled |= dict.fromkeys(folded.tensors, powers)
        else:
            carriers[tensor] = _insert_mul(proto.graph, readers, powers, len(shapes[tensor]))
    inputs = {n.name: (n.input[0], n.input[1]) for n in proto.graph.node if len(n.input) > 1}
    renamed = tuple(
        replace(layer, activation=inputs[layer.node][0], weight=inputs[layer.node][1])
        for layer in layers
    )
    del proto.graph.value_info[:]
    return Balanced(
        Model.of(onnx.shape_inference.infer_shapes(proto), model.name), renamed, carriers, scaled
    )


def _shifts(largest: Reals, weights: Sequence[Reals], exponent: float, depthwise: bool) -> Ints:
    """Powers of two that leave the largest channel where it is.

    The factor is w^(1 - exponent) / x^exponent; a depthwise convolution has a scale for each
    channel of its weight, so that w does not matter.
    """
    alive = largest > 0
    if alive.sum() < 2:
        return np.zeros(len(largest), np.int64)
    share = np.where(alive, largest, 1.0)
    weight = np.max([w / max(w.max(), 1e-30) for w in weights], axis=0)
    weight = np.ones_like(share) if depthwise else np.maximum(weight, 1e-6)
    powers = np.rint((1 - exponent) * np.log2(weight) - exponent * np.log2(share))
    powers -= powers[np.argmax(share * alive)]
    return np.where(alive, np.clip(powers, -LIMIT, LIMIT), 0).astype(np.int64)


def _weight_amax(weight: Floats, layer: Layer) -> Reals:
    """Largest magnitude of the weights that each input channel meets; shape (channels,)."""
    grouped = _by_input_channel(np.abs(weight), layer)
    others = tuple(axis for axis in range(grouped.ndim) if axis not in (0, 2))
    amax: Reals = grouped.max(axis=others).astype(np.float64).ravel()
    return amax


def _by_input_channel(weight: Floats, layer: Layer) -> Floats:
    """A view of shape (groups, outputs, inputs, ...): input channel c is [c // n, :, c % n]."""
    if layer.operator == "ConvTranspose":
        inputs = weight.shape[0] // layer.groups
        split = weight.reshape(layer.groups, inputs, *weight.shape[1:])
        return np.swapaxes(split, 1, 2)
    if layer.operator in ("Gemm", "MatMul"):
        return np.moveaxis(weight, layer.axis, 0)[None]
    outputs = weight.shape[0] // layer.groups
    return weight.reshape(layer.groups, outputs, *weight.shape[1:])


def _divide_weight(graph: onnx.GraphProto, layer: Layer, powers: Ints) -> None:
    """Give the layer a weight of its own, divided by 2**powers along its input channels."""
    node = next(n for n in graph.node if n.name == layer.node)
    old = next(t for t in graph.initializer if t.name == node.input[1])
    weight = numpy_helper.to_array(old).copy()
    view = _by_input_channel(weight, layer)
    shape = (view.shape[0], 1, view.shape[2], *[1] * (view.ndim - 3))
    view[...] = np.ldexp(view, -powers.reshape(shape))
    readers = sum(list(n.input).count(old.name) for n in graph.node)
    if readers == 1:
        old.CopyFrom(numpy_helper.from_array(weight, old.name))
    else:
        node.input[1] = f"{old.name}_{layer.node}"
        graph.initializer.append(numpy_helper.from_array(weight, node.input[1]))


def _insert_mul(graph: onnx.GraphProto, readers: Sequence[Layer], powers: Ints, rank: int) -> str:
    """Put a Mul between the tensor, of this rank, and its readers; returns its name."""
    tensor, axis = readers[0].activation, readers[0].input_axis
    factors = np.ldexp(np.float32(1), powers).astype(np.float32)
    factors = factors.reshape(-1, *[1] * (rank - 1 - axis))
    taken = names_in(graph)
    names = [fresh(f"{tensor}_{suffix}", taken) for suffix in ("factors", "balanced")]
    graph.initializer.append(numpy_helper.from_array(factors, names[0]))
    mul = helper.make_node(
        "Mul", [tensor, names[0]], [names[1]], name=fresh(f"{tensor}_balance", taken)
    )
    nodes = {reader.node for reader in readers}
    first = next(i for i, node in enumerate(graph.node) if node.name in nodes)
    graph.node.insert(first, mul)
    for node in graph.node:
        if node.name in nodes:
            node.input[0] = names[1]
    return str(mul.name)
