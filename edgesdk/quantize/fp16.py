"""Writes FP16 into the graph: float tensors become float16, inputs and outputs stay float32.

This is the strongly typed form that TensorRT 10 and 11 want; casts stand at the graph's edges and
around the few operators that have no float16 form.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import refuse_control_flow

FLOAT_ONLY_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
"""Operator -> inputs that are float32 whatever the data is (roi and scales)."""
FLOAT_ONLY = frozenset(
    {"NonMaxSuppression", "Range", "RandomNormal", "RandomUniform", "Multinomial"}
)
"""Operators left in float32, with casts around them."""
LIMIT = float(np.finfo(np.float16).max)


def write_fp16(model: Model) -> Model:
    """A new model that computes in float16. `model` is a prepared float32 model.

    Raises ModelError for weights beyond float16's range and for graphs with control flow.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    refuse_control_flow(model)
    kept = _float_constants(proto.graph)
    limits = {name for n in proto.graph.node if n.op_type == "Clip" for name in n.input[1:]}
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            _shrink(tensor, saturate=tensor.name in limits)
    floats = _floats(model)
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        nodes += _around(node, floats) if node.op_type in FLOAT_ONLY else [_retyped(node)]
    _replace_nodes(proto.graph, nodes)
    _cast_edges(proto.graph)
    del proto.graph.value_info[:]
    return Model.of(onnx.shape_inference.infer_shapes(proto), model.name)


def _float_constants(graph: onnx.GraphProto) -> set[str]:
    """Initializers that only float32 inputs read."""
    only: set[str] = set()
    others: set[str] = set()
    for node in graph.node:
        fixed = FLOAT_ONLY_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            (only if index in fixed or node.op_type in FLOAT_ONLY else others).add(name)
    both = only & others & {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    if both:
        raise ModelError(
            f"the constant {min(both)!r} is both data and a scale; FP16 cannot be written"
        )
    return only


def _shrink(tensor: onnx.TensorProto, saturate: bool = False) -> None:
    """Make it float16. What saturates is a limit, not a value: FLT_MAX stands for "none"."""
    values = numpy_helper.to_array(tensor)
    if saturate or values.size == 1:
        values = np.clip(values, -LIMIT, LIMIT)
    largest = float(np.abs(values).max(initial=0))
    if largest > LIMIT:
        raise ModelError(
            f"the constant {tensor.name!r} holds {largest:.4g}, beyond FP16's {LIMIT:.0f}",
            "build it with --precision fp32, or with int8",
        )
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))


def _cast_edges(graph: onnx.GraphProto) -> None:
    """Inputs are cast to float16 first and outputs back to float32 last."""
    inputs = [v.name for v in graph.input if v.type.tensor_type.elem_type == TensorProto.FLOAT]
    outputs = [v.name for v in graph.output if v.type.tensor_type.elem_type == TensorProto.FLOAT]
    inner = {**{n: f"{n}_fp16" for n in inputs}, **{n: f"{n}_fp16" for n in outputs}}
    for node in graph.node:
        node.input[:] = [inner.get(name, name) for name in node.input]
        node.output[:] = [inner.get(name, name) for name in node.output]
    first = [_cast(n, inner[n], TensorProto.FLOAT16) for n in inputs]
    last = [_cast(inner[n], n, TensorProto.FLOAT) for n in outputs if n not in inputs]
    _replace_nodes(graph, [*first, *graph.node, *last])


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}_Cast", to=kind)


def _retyped(node: onnx.NodeProto) -> onnx.NodeProto:
    """Casts to float32 inside the graph become casts to float16; so do constant attributes."""
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT:
            _shrink(attribute.t)
    return node


def _floats(model: Model) -> set[str]:
    graph = model.proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}


def _around(node: onnx.NodeProto, floats: set[str]) -> list[onnx.NodeProto]:
    """Cast a float32-only operator's inputs up and its outputs down."""
    before, after = [], []
    for index, name in enumerate(node.input):
        if name in floats:
            wide = f"{name}_{node.name}_fp32"
            before.append(_cast(name, wide, TensorProto.FLOAT))
            node.input[index] = wide
    for index, name in enumerate(node.output):
        if name in floats:
            wide = f"{name}_fp32"
            after.append(_cast(wide, name, TensorProto.FLOAT16))
            node.output[index] = wide
    return [*before, node, *after]
