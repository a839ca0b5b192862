"""What an ONNX graph says of its own precision."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import TensorProto

from edgesdk.errors import ModelError
from edgesdk.model import Model

PAIR = ("QuantizeLinear", "DequantizeLinear")
CONVERSIONS = {*PAIR, "Cast", "Constant"}
INT8_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class GraphFacts:
    """Read off the graph; nothing else decides an engine's precision."""

    opset: int
    quantized: bool
    """It has QuantizeLinear or DequantizeLinear."""
    half: bool
    """It has tensors in float16."""
    int8_nodes: tuple[str, ...]
    """Layers all of whose tensors but the bias are dequantized right before: INT8 is wanted."""
    single_nodes: tuple[str, ...]
    """In a graph that has float16: nodes that compute in float32 all the same."""
    dynamic_inputs: tuple[str, ...]


def read_facts(model: Model) -> GraphFacts:
    """Read them. Raises ModelError when the types of the tensors contradict each other."""
    graph = model.proto.graph
    kinds = {node.op_type for node in graph.node}
    types = _types(model)
    half = TensorProto.FLOAT16 in types.values()
    return GraphFacts(
        opset=model.opset,
        quantized=bool(kinds & set(PAIR)),
        half=half,
        int8_nodes=_int8_nodes(graph),
        single_nodes=_single_nodes(graph, types) if half else (),
        dynamic_inputs=tuple(spec.name for spec in model.inputs if not spec.is_static),
    )


def _types(model: Model) -> dict[str, int]:
    """Element type of each tensor, as far as ONNX can tell."""
    try:
        graph = onnx.shape_inference.infer_shapes(model.proto).graph
    except onnx.shape_inference.InferenceError as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"the graph's tensors do not fit together: {first}") from error
    values = (*graph.input, *graph.output, *graph.value_info)
    known = {value.name: int(value.type.tensor_type.elem_type) for value in values}
    return known | {tensor.name: int(tensor.data_type) for tensor in graph.initializer}


def _int8_nodes(graph: onnx.GraphProto) -> tuple[str, ...]:
    dequantized = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return tuple(
        node.name
        for node in graph.node
        if node.op_type in INT8_LAYERS and set(node.input[:2]) <= dequantized
    )


def _single_nodes(graph: onnx.GraphProto, types: dict[str, int]) -> tuple[str, ...]:
    return tuple(
        node.name
        for node in graph.node
        if node.op_type not in CONVERSIONS
        and any(types.get(name) == TensorProto.FLOAT for name in node.output)
    )
