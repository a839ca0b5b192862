"""Half-precision models become float32: calibration sees values, not their rounding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
HALVES = FLOATS[1:]


def widen(proto: onnx.ModelProto) -> None:
    """Make every float16 and bfloat16 of `proto` a float32; weights keep their values exactly.

    Inputs and outputs become float32 too. Casts between floats do nothing any more and become
    Identity.
    """
    if not any(t.data_type in HALVES for t in _tensors(proto.graph)) and not _half_values(proto):
        return
    _casts(proto)
    del proto.graph.value_info[:]
    for tensor in _tensors(proto.graph):
        if tensor.data_type in HALVES:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for graph in _graphs(proto.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type in HALVES:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype") and attribute.i in HALVES:
                    attribute.i = TensorProto.FLOAT


def _half_values(proto: onnx.ModelProto) -> bool:
    values = (*proto.graph.input, *proto.graph.output)
    casts = [a.i for n in proto.graph.node for a in n.attribute if a.name == "to"]
    return any(kind in HALVES for kind in casts) or any(
        value.type.tensor_type.elem_type in HALVES for value in values
    )


def _casts(proto: onnx.ModelProto) -> None:
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    kinds = {t.name: t.data_type for t in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        kinds[value.name] = value.type.tensor_type.elem_type
    for node in proto.graph.node:
        if node.op_type == "Cast" and kinds.get(node.input[0]) in FLOATS:
            target = next(a.i for a in node.attribute if a.name == "to")
            if target in FLOATS:
                node.op_type = "Identity"
                del node.attribute[:]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    for part in _graphs(graph):
        yield from part.initializer
        for node in part.node:
            yield from (a.t for a in node.attribute if a.HasField("t"))
