"""Adding to a layer's bias: what INT8 takes from the mean of a channel is given back there."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.model.edit import fresh, names_in
from edgesdk.tensors import Floats


def add_to_bias(graph: onnx.GraphProto, name: str, shift: Floats) -> bool:
    """Add `shift`, one value for each output channel, to the output of the node called `name`.

    It goes into the node's own bias, or into the constant that an Add behind a MatMul brings.
    False, with the graph unchanged, where there is no such place.
    """
    node = next(n for n in graph.node if n.name == name)
    if node.op_type == "MatMul":
        return _add_behind(graph, node, shift)
    if node.op_type == "Gemm" and any(
        a.name in ("alpha", "beta") and a.f != 1 for a in node.attribute
    ):
        return False
    if len(node.input) < 3 or not node.input[2]:
        bias = fresh(f"{name}_bias", names_in(graph))
        graph.initializer.append(numpy_helper.from_array(shift.astype(np.float32), bias))
        del node.input[2:]
        node.input.append(bias)
        return True
    return _add_to_input(graph, node, 2, shift)


def _add_behind(graph: onnx.GraphProto, node: onnx.NodeProto, shift: Floats) -> bool:
    readers = [n for n in graph.node if node.output[0] in n.input]
    if len(readers) != 1 or readers[0].op_type != "Add":
        return False
    if node.output[0] in {value.name for value in graph.output}:
        return False
    index = 1 - list(readers[0].input).index(node.output[0])
    return _add_to_input(graph, readers[0], index, shift)


def _add_to_input(graph: onnx.GraphProto, node: onnx.NodeProto, index: int, shift: Floats) -> bool:
    constant = next((t for t in graph.initializer if t.name == node.input[index]), None)
    if constant is None:
        return False
    values = numpy_helper.to_array(constant)
    if values.shape[-1:] != shift.shape or values.size != shift.size:
        return False
    corrected = (values + shift.reshape(values.shape)).astype(np.float32)
    name = constant.name
    if sum(list(n.input).count(name) for n in graph.node) > 1:
        name = fresh(f"{name}_{node.name}", names_in(graph))
        node.input[index] = name
        graph.initializer.append(numpy_helper.from_array(corrected, name))
    else:
        constant.CopyFrom(numpy_helper.from_array(corrected, name))
    return True
