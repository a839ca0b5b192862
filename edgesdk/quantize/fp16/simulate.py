"""A float32 graph that rounds as an FP16 graph would: for measuring on a CPU.

ONNX Runtime has few float16 kernels on the CPU. It computes an FP16 graph in float32 and removes
the casts between its operators, graph optimizations off or not: nothing is rounded inside, nothing
overflows, and its figures flatter. In the graph made here each rounding is written out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in
from edgesdk.quantize.fp16.graph import MOVES


def simulate_fp16(model: Model) -> Model:
    """The same model in float32, with each float16 tensor rounded to float16 where it is made.

    That is float16 storage with float32 sums inside an operator. An overflow gives infinity, as
    it does in float16. A model without float16 inside comes back as it is.
    """
    graph = model.proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    halves = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT16}
    if not halves:
        return model
    outside = {v.name for v in (*graph.input, *graph.output)}
    if halves & outside:
        return model  # a model of float16 throughout is not one that we wrote
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.node[:], proto.graph.initializer[:], proto.graph.value_info[:]
    proto.graph.initializer.extend(_widened(tensor) for tensor in graph.initializer)
    taken = names_in(graph)
    for node in graph.node:
        proto.graph.node.extend(_rounding(node, halves, taken))
    return Model.of(onnx.shape_inference.infer_shapes(proto), model.name)


def _rounding(node: onnx.NodeProto, halves: set[str], taken: set[str]) -> Iterator[onnx.NodeProto]:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    after: list[onnx.NodeProto] = []
    for index, name in enumerate(node.output):
        if name in halves and node.op_type not in MOVES:
            exact, half = (fresh(f"{name}_{kind}", taken) for kind in ("exact", "half"))
            copy.output[index] = exact
            after.append(_cast(exact, half, TensorProto.FLOAT16))
            after.append(_cast(half, name, TensorProto.FLOAT))
    yield copy
    yield from after


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}_round", to=kind)


def _widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
