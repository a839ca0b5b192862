"""The layers of a built engine, in the shape of TensorRT's engine inspector.

Q/DQ pairs vanish into the layers between them, an activation joins the convolution before it,
what DLA takes becomes one layer for each run of nodes. The names and keys are those that
`trtexec --exportLayerInfo` writes; which kernel stands there is invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from tests.tensorrt_double.network import shape_of

QDQ = ("QuantizeLinear", "DequantizeLinear")
ACTIVATIONS = ("Relu", "LeakyRelu", "Sigmoid", "Clip")
INT8_OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "AveragePool", "MaxPool")
DLA_OPERATORS = (
    *("Conv", "ConvTranspose", "Relu", "Sigmoid", "Tanh", "Clip", "MaxPool", "AveragePool"),
    *("Add", "Sub", "Mul", "Concat", "Resize", "Gemm", "BatchNormalization", *QDQ),
)
FORMATS = {
    "Int8": "Thirty-two wide channel vectorized row major Int8 format",
    "Half": "Row major linear FP16 format",
    "Float": "Row major linear FP32",
}
METADATA_BETWEEN = "\x1e"


@dataclass
class Group:
    """Nodes that run as one layer."""

    nodes: list[onnx.NodeProto]
    precision: str
    dla: bool


class Graph:
    """Look-ups over one ONNX graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.shapes = {
            v.name: list(shape_of(v))
            for v in [*model.graph.value_info, *model.graph.input, *model.graph.output]
        }
        self.half = {
            v.name
            for v in [*model.graph.value_info, *model.graph.input, *model.graph.output]
            if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
        }
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def quantized(self, node: onnx.NodeProto) -> bool:
        made_by = [self.maker.get(name) for name in node.input[:1]]
        return any(maker is not None and maker.op_type == "DequantizeLinear" for maker in made_by)


def quantized_nodes(model: onnx.ModelProto) -> list[str]:
    """Nodes between Q/DQ pairs, and the pairs; DLA of TensorRT 8 takes none of them."""
    graph = Graph(model)
    return [n.name for n in graph.nodes if n.op_type in QDQ or graph.quantized(n)]


@dataclass(frozen=True)
class Choice:
    """What decides a layer's precision and place, beyond the graph."""

    fp16: bool = False
    ranges: Iterable[str] = ()
    """Tensors that have a range beside the graph."""
    dla: bool = False
    not_on_dla: Sequence[str] = ()
    not_in_int8: Sequence[str] = ()
    metadata: bool = True
    """Layers say which ONNX nodes they come from: since 8.6."""

    def on_dla(self, node: onnx.NodeProto) -> bool:
        return self.dla and node.op_type in DLA_OPERATORS and node.name not in self.not_on_dla

    def precision(self, node: onnx.NodeProto, graph: Graph) -> str:
        implicit = node.op_type in INT8_OPERATORS and node.input[0] in set(self.ranges)
        if (graph.quantized(node) or implicit) and node.name not in self.not_in_int8:
            return "Int8"
        half = self.fp16 or node.output[0] in graph.half or graph.quantized(node)
        return "Half" if half else "Float"


def groups(graph: Graph, choice: Choice) -> list[Group]:
    found: list[Group] = []
    for node in graph.nodes:
        if node.op_type in (*QDQ, "Constant"):
            continue
        dla, precision = choice.on_dla(node), choice.precision(node, graph)
        last = found[-1] if found else None
        fuses = (
            last is not None
            and node.op_type in ACTIVATIONS
            and last.nodes[-1].op_type == "Conv"
            and node.input[0] == last.nodes[-1].output[0]
        )
        if last is not None and last.dla == dla and (dla or fuses):
            last.nodes.append(node)
        else:
            found.append(Group([node], precision, dla))
    return found


def tensor(graph: Graph, name: str, precision: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Location": "Device",
        "Dimensions": graph.shapes.get(name, []),
        "Format/Datatype": FORMATS[precision],
    }


def described(group: Group, graph: Graph) -> dict[str, Any]:
    nodes = group.nodes
    names = [node.name or node.output[0] for node in nodes]
    kind = "DLA" if group.dla else "CaskConvolution" if nodes[0].op_type == "Conv" else "Myelin"
    letters = {"Int8": "i8i8", "Half": "f16f16", "Float": "f32f32"}[group.precision]
    return {
        "Name": f"{{ForeignNode[{names[0]}...{names[-1]}]}}" if group.dla else " + ".join(names),
        "LayerType": kind,
        "Inputs": [tensor(graph, name, group.precision) for name in nodes[0].input[:1]],
        "Outputs": [tensor(graph, name, group.precision) for name in nodes[-1].output[:1]],
        "TacticName": "" if group.dla else f"sm80_xmma_{nodes[0].op_type.lower()}_{letters}",
        "StreamId": 0,
        "Metadata": METADATA_BETWEEN.join(f"[ONNX Layer: {name}]" for name in names),
    }


def layers(model: onnx.ModelProto, choice: Choice) -> tuple[dict[str, Any], ...]:
    """One dictionary for each layer, as with ProfilingVerbosity.DETAILED."""
    graph = Graph(model)
    shown = [described(group, graph) for group in groups(graph, choice)]
    if not choice.metadata:
        for layer in shown:
            del layer["Metadata"]
    return tuple(shown)
