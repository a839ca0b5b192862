"""Does an INT8 graph have the form that TensorRT documents? Checked here from the protos alone.

The rules are NVIDIA's ("Working with Quantized Types", ModelOpt's placement), written down a second
time and without the package's help, so that the two can disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PAIR = ("QuantizeLinear", "DequantizeLinear")
MOVERS = {"MaxPool", "Reshape", "Transpose", "Slice", "Split", "Squeeze", "Unsqueeze", "Flatten"}
MOVERS |= {"Resize", "Identity", "Gather", "DepthToSpace", "SpaceToDepth", "Expand", "Pad"}
"""They only move values: INT8 passes through, so they need no pair of their own."""
ACTIVATIONS = {"Relu", "LeakyRelu", "PRelu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh"}
ACTIVATIONS |= {"Elu", "Selu", "Softplus", "Gelu", "Min", "Max", "Erf"}
POOLS = ("AveragePool", "GlobalAveragePool", "ReduceMean")


@dataclass(frozen=True)
class Violation:
    kind: str
    node: str
    message: str


@dataclass(frozen=True)
class Layer:
    node: str
    operator: str
    int8: bool
    macs: int


@dataclass(frozen=True)
class Form:
    """What was found."""

    violations: tuple[Violation, ...]
    layers: tuple[Layer, ...]
    """All Conv, ConvTranspose, Gemm and MatMul, those of attention too."""
    residual_adds: int
    """Adds that join the direct output of a quantized Conv and another branch."""
    residual_good: int
    extra: dict[str, list[str]]
    """Operator -> nodes that the float graph does not have, pairs apart."""

    def kinds(self) -> dict[str, int]:
        return dict(Counter(v.kind for v in self.violations))

    def of(self, kind: str) -> list[str]:
        return [v.node for v in self.violations if v.kind == kind]

    @property
    def int8_share(self) -> float:
        total = sum(layer.macs for layer in self.layers)
        return sum(layer.macs for layer in self.layers if layer.int8) / total if total else 0.0


class Graph:
    """A graph with its edges both ways."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.nodes = list(proto.graph.node)
        self.constants = {t.name: t for t in proto.graph.initializer}
        for node in self.nodes:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    self.constants[node.output[0]] = attribute.t
        self.maker = {out: node for node in self.nodes for out in node.output if out}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in proto.graph.output}
        self.opset = next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))

    def kind(self, tensor: str) -> str:
        """Operator that makes a tensor; "" for inputs and constants."""
        return self.maker[tensor].op_type if tensor in self.maker else ""

    def value(self, tensor: str) -> np.ndarray | None:
        found = self.constants.get(tensor)
        return None if found is None else numpy_helper.to_array(found)

    def pairs(self) -> Iterator[onnx.NodeProto]:
        return (node for node in self.nodes if node.op_type in PAIR)

    def is_activation_dq(self, tensor: str) -> bool:
        return (
            self.kind(tensor) == "DequantizeLinear"
            and self.kind(self.maker[tensor].input[0]) == "QuantizeLinear"
        )

    def origin(self, dq_output: str) -> str:
        """The float tensor under an activation's pair."""
        return str(self.maker[self.maker[dq_output].input[0]].input[0])

    def scale(self, dq_output: str) -> float:
        value = self.value(self.maker[dq_output].input[1])
        return float(value.reshape(-1)[0]) if value is not None else float("nan")

    def weight_dq(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The node that dequantizes a layer's weight, whatever lies between."""
        tensor = node.input[1]
        while tensor in self.maker and self.maker[tensor].op_type in MOVERS:
            tensor = self.maker[tensor].input[0]
        maker = self.maker.get(tensor)
        if maker is None or maker.op_type != "DequantizeLinear":
            return None
        source = maker.input[0]
        stored = source in self.constants
        quantized = self.kind(source) == "QuantizeLinear"
        if stored or (quantized and self.maker[source].input[0] in self.constants):
            return maker
        return None

    def is_int8(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in LAYERS:
            return False
        second = self.weight_dq(node) is not None or self.is_activation_dq(node.input[1])
        return self.is_activation_dq(node.input[0]) and second

    def direct_layer(self, tensor: str) -> onnx.NodeProto | None:
        """The quantized convolution whose output this is, BatchNorm between or not."""
        while self.kind(tensor) in ("BatchNormalization", "Identity"):
            tensor = self.maker[tensor].input[0]
        node = self.maker.get(tensor)
        if node is None or node.op_type not in ("Conv", "ConvTranspose"):
            return None
        return node if self.is_int8(node) and len(self.readers[tensor]) == 1 else None


def check_form(float_model: onnx.ModelProto, int8: onnx.ModelProto, max_opset: int) -> Form:
    """Compare an INT8 graph with the documented form, and with the float graph it came from."""
    graph = Graph(int8)
    found: list[Violation] = []
    for rule in (_numbers, _shape_of_pairs, _weights, _bias, _placement, _concat, _decoder):
        found += rule(graph)
    if graph.opset > max_opset:
        found.append(Violation("opset", "", f"{graph.opset}, at most {max_opset}"))
    adds = list(_residual(graph))
    found += [v for _, v in adds if v]
    found += _dead(graph)
    return Form(
        tuple(found),
        tuple(_layers(graph)),
        len(adds),
        sum(v is None for _, v in adds),
        _extra(Graph(float_model), graph),
    )


def _numbers(g: Graph) -> Iterator[Violation]:
    for node in g.pairs():
        scale = g.value(node.input[1])
        if scale is None:
            yield Violation("scale", node.name, "computed at run time")
        elif not (np.isfinite(scale).all() and (scale > 0).all()):
            yield Violation("scale", node.name, f"{scale.min()}..{scale.max()}")
        stored = g.constants.get(node.input[0])
        zero = g.constants.get(node.input[2]) if len(node.input) > 2 else None
        kinds = [t.data_type for t in (stored, zero) if t is not None and t.data_type != 1]
        if node.op_type == "DequantizeLinear" and not kinds and g.kind(node.input[0]) in PAIR:
            kinds = [TensorProto.INT8]  # without a zero point, the type is that of its Q
        if not kinds or set(kinds) != {TensorProto.INT8}:
            yield Violation("type", node.name, f"integer types {kinds or 'uint8 by default'}")
        if zero is not None and numpy_helper.to_array(zero).any():
            yield Violation("zero-point", node.name, "not 0")
        is_weight = node.input[0] in g.constants or _is_weight_dq(g, node)
        if scale is not None and scale.size > 1 and not is_weight:
            yield Violation("per-channel-activation", node.name, f"{scale.size} scales")


def _is_weight_dq(g: Graph, node: onnx.NodeProto) -> bool:
    maker = g.maker.get(node.input[0])
    return maker is not None and maker.op_type in PAIR and maker.input[0] in g.constants


def _shape_of_pairs(g: Graph) -> Iterator[Violation]:
    by_tensor: dict[str, set[bytes]] = {}
    for node in g.pairs():
        if node.op_type == "QuantizeLinear":
            wrong = [r.op_type for r in g.readers.get(node.output[0], []) if r.op_type != PAIR[1]]
            if wrong or node.output[0] in g.outputs:
                yield Violation("unpaired", node.name, f"read by {wrong or 'the outside'}")
            value = g.value(node.input[1])
            scale = b"" if value is None else value.tobytes()
            seen = by_tensor.setdefault(node.input[0], set())
            if seen:
                kind = "duplicate-pair" if scale in seen else "two-scales"
                yield Violation(kind, node.name, f"{node.input[0]!r} is quantized already")
            seen.add(scale)
        elif node.input[0] not in g.constants and g.kind(node.input[0]) != "QuantizeLinear":
            yield Violation("unpaired", node.name, f"its input is {node.input[0]!r}")


def _weights(g: Graph) -> Iterator[Violation]:
    for node in g.nodes:
        if node.op_type not in LAYERS:
            continue
        dq = g.weight_dq(node)
        quantized = [g.is_activation_dq(node.input[0]), dq is not None]
        if dq is None and not g.is_activation_dq(node.input[1]) and not quantized[0]:
            continue
        if dq is None and g.is_activation_dq(node.input[1]):
            quantized[1] = True
        if not all(quantized):
            yield Violation("half-quantized", node.name, f"activation, weight: {quantized}")
        if dq is None:
            continue
        if dq.output[0] != node.input[1] or dq.input[0] not in g.constants:
            yield Violation("weight-storage", node.name, "not int8 right before the layer's DQ")
        if dq.input[0] in g.constants:
            yield from _axis(g, node, dq)


def _axis(g: Graph, node: onnx.NodeProto, dq: onnx.NodeProto) -> Iterator[Violation]:
    dims = list(g.constants[dq.input[0]].dims)
    attributes = {a.name: a.i for a in node.attribute}
    flipped = node.op_type == "Gemm" and attributes.get("transB", 0)
    channels = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0 if flipped else 1}
    expected = channels.get(node.op_type, len(dims) - 1) % len(dims)
    scale = g.value(dq.input[1])
    size = 0 if scale is None else scale.size
    if size == 1 and (dims[expected] == 1 or len(dims) == 3 != node.op_type.startswith("Conv")):
        return
    axis = next((a.i for a in dq.attribute if a.name == "axis"), 1) % len(dims)
    if size != dims[expected] or axis != expected:
        message = f"{size} scales on axis {axis}, expected {dims[expected]} on {expected} of {dims}"
        yield Violation("weight-axis", node.name, message)


def _bias(g: Graph) -> Iterator[Violation]:
    for node in g.nodes:
        if node.op_type in LAYERS[:3] and len(node.input) > 2 and node.input[2]:
            kind = g.constants[node.input[2]].data_type if node.input[2] in g.constants else 0
            if g.kind(node.input[2]) in PAIR or kind == TensorProto.INT32:
                yield Violation("bias", node.name, "quantized")


def _placement(g: Graph) -> Iterator[Violation]:
    for dq in g.pairs():
        if not (dq.op_type == "DequantizeLinear" and g.is_activation_dq(dq.output[0])):
            continue
        source = g.kind(g.origin(dq.output[0]))
        if dq.output[0] in g.outputs:
            yield Violation("pair-on-output", dq.name, "the graph's output")
        for reader in g.readers.get(dq.output[0], []):
            yield from _reader(g, dq, reader, source)


def _reader(
    g: Graph, dq: onnx.NodeProto, reader: onnx.NodeProto, source: str
) -> Iterator[Violation]:
    kind, where = reader.op_type, f"{source or 'input'} -> pair -> {reader.op_type} {reader.name}"
    if kind in LAYERS or kind == "Add":
        if kind == "Add" and any(name in g.constants for name in reader.input):
            yield Violation("pair-inside-fusion", dq.name, where)
    elif kind in ACTIVATIONS or kind == "BatchNormalization":
        inside = source in (*LAYERS, "BatchNormalization", "Add")
        yield Violation("pair-inside-fusion" if inside else "pair-on-pointwise", dq.name, where)
    elif kind == "Softmax":
        yield Violation("pair-on-softmax", dq.name, where)
    elif kind in MOVERS or kind == "Concat":
        ends = set(_ends(g, reader))
        if ends and ends <= {"output"}:
            yield Violation("pair-on-output", dq.name, where)
        elif "QuantizeLinear" in ends and kind in MOVERS:
            yield Violation("pair-of-mover", dq.name, where)
    elif kind in POOLS:
        if not any(r.op_type == "QuantizeLinear" for r in g.readers.get(reader.output[0], [])):
            yield Violation("pool-half", dq.name, where)
    else:
        yield Violation("pair-on-pointwise", dq.name, where)


def _ends(g: Graph, node: onnx.NodeProto) -> Iterator[str]:
    """What movers and Concats after a node lead to: operators, or "output"."""
    for tensor in node.output:
        if tensor in g.outputs:
            yield "output"
        for reader in g.readers.get(tensor, []):
            if reader.op_type in MOVERS or reader.op_type in ("Concat", "Sigmoid", "Softmax"):
                yield from _ends(g, reader)
            else:
                yield reader.op_type


def _concat(g: Graph) -> Iterator[Violation]:
    for node in g.nodes:
        if node.op_type != "Concat":
            continue
        quantized = [name for name in node.input if g.is_activation_dq(name)]
        floats = [n for n in node.input if n not in quantized and n not in g.constants]
        if quantized and floats:
            yield Violation("concat-mixed", node.name, f"{len(quantized)} of its inputs have pairs")
        after = [r for r in g.readers.get(node.output[0], []) if r.op_type == "QuantizeLinear"]
        scales = {g.scale(name) for name in quantized}
        if quantized:
            scales |= {float(np.ravel(g.value(r.input[1]))[0]) for r in after}
        if len(scales) > 1:
            yield Violation("concat-scales", node.name, f"{sorted(scales)}")


def _decoder(g: Graph) -> Iterator[Violation]:
    """Layers that only turn outputs into boxes: a DFL's 0, 1, 2... and matrices of four."""
    for node in g.nodes:
        if g.is_int8(node) and _is_conversion(g, node):
            yield Violation("decoder-quantized", node.name, "a conversion, not a layer")
        if node.op_type in LAYERS and g.is_int8(node) and not g.weight_dq(node):
            continue  # MatMul of two activations: attention
        tensor = node.input[0] if node.input else ""
        if node.op_type in LAYERS and g.is_activation_dq(tensor):
            tensor = g.origin(tensor)
            while g.kind(tensor) in MOVERS:
                tensor = g.maker[tensor].input[0]
            if g.kind(tensor) == "Softmax" and not _is_conversion(g, node):
                yield Violation("pair-on-softmax", node.name, "its input is a Softmax's output")


def _is_conversion(g: Graph, node: onnx.NodeProto) -> bool:
    dq = g.weight_dq(node)
    if dq is None:
        return False
    stored, scale = g.value(dq.input[0]), g.value(dq.input[1])
    if stored is None or scale is None:
        return False
    if node.op_type == "MatMul" and max(stored.shape) <= 4:
        return True
    ramp = stored.reshape(-1).astype(np.float64) * float(scale.reshape(-1)[0])
    steps = np.arange(ramp.size)
    is_ramp = ramp.size >= 4 and bool(np.abs(ramp - steps).max() < 0.1 * ramp.size / 16)
    return is_ramp and (stored.shape[0] == 1 or node.op_type == "MatMul")


def _residual(g: Graph) -> Iterator[tuple[str, Violation | None]]:
    """Each Add of a quantized Conv's direct output with another branch, and what is wrong."""
    for node in g.nodes:
        if node.op_type != "Add" or any(name in g.constants for name in node.input):
            continue
        paired = [g.is_activation_dq(name) for name in node.input]
        under = [g.origin(n) if p else n for n, p in zip(node.input, paired, strict=True)]
        direct = [g.direct_layer(name) is not None for name in under]
        if not any(direct):
            continue
        where = f"from a convolution: {direct}, with a pair: {paired}"
        if not any(paired):
            yield node.name, Violation("residual-missing", node.name, where)
        elif all(paired):
            yield node.name, Violation("residual-both", node.name, where)
        elif not any(d and not p for d, p in zip(direct, paired, strict=True)):
            yield node.name, Violation("residual-wrong-branch", node.name, where)
        else:
            yield node.name, None


def _dead(g: Graph) -> Iterator[Violation]:
    wanted = set(g.outputs)
    for node in reversed(g.nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
        else:
            yield Violation("dead-node", node.name, node.op_type)
    for tensor in g.proto.graph.initializer:
        if tensor.name not in wanted:
            yield Violation("dead-constant", tensor.name, "nobody reads it")


def _layers(g: Graph) -> Iterator[Layer]:
    inferred = onnx.shape_inference.infer_shapes(g.proto, data_prop=True).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    shapes |= {name: list(t.dims) for name, t in g.constants.items()}
    for node in g.nodes:
        if node.op_type in LAYERS:
            yield Layer(node.name, node.op_type, g.is_int8(node), _macs(node, shapes))


def _macs(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    first, weight = shapes.get(node.input[0], []), shapes.get(node.input[1], [])
    result = shapes.get(node.output[0], [])
    if node.op_type == "ConvTranspose":
        return prod(first[:1]) * prod(weight) * prod(first[2:])
    if node.op_type == "Conv":
        return prod(result[:1]) * prod(weight) * prod(result[2:])
    return prod(result) * (first[-1] if first else 0)


def _extra(before: Graph, after: Graph) -> dict[str, list[str]]:
    count = Counter(n.op_type for n in after.nodes if n.op_type not in PAIR)
    count.subtract(Counter(n.op_type for n in before.nodes))
    names = {node.name for node in before.nodes}
    return {
        kind: [n.name for n in after.nodes if n.op_type == kind and n.name not in names]
        for kind, surplus in sorted(count.items())
        if surplus > 0
    }
