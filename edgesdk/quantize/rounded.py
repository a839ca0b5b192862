"""Rounding tensors where they are made: what implicit INT8 does to a layer's output."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in
from edgesdk.quantize.int8 import LEVELS


def round_tensors(model: Model, amax: Mapping[str, float]) -> Model:
    """The model with these computed float tensors rounded to INT8 and back, for all readers.

    `amax` has the magnitude, above 0, that INT8 127 stands for; other names are passed over. For
    measuring on a CPU: TensorRT would take such pairs for a wish of its own.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    taken = names_in(proto.graph)
    nodes: list[onnx.NodeProto] = []
    for node in model.proto.graph.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        nodes.append(copy)
        for index, tensor in enumerate(node.output):
            if tensor in amax:
                suffixes = ("exact", "rounded", "step", "zero")
                exact, rounded, step, zero = (fresh(f"{tensor}_{s}", taken) for s in suffixes)
                copy.output[index] = exact
                scale = np.array(amax[tensor] / LEVELS, np.float32)
                proto.graph.initializer.append(numpy_helper.from_array(scale, step))
                proto.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), zero))
                nodes.append(helper.make_node("QuantizeLinear", [exact, step, zero], [rounded]))
                nodes.append(helper.make_node("DequantizeLinear", [rounded, step, zero], [tensor]))
    del proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.node.extend(nodes)
    return Model.of(proto, model.name)
