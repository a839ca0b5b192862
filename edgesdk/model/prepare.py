"""The same model in the one form that the rest works on.

Fixed shapes, float32, the target's operator set, a unique name for every node, what does not depend
on the input as initializers, and a shape for every tensor. The answers stay those of the model that
came in.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import version_converter

from edgesdk.errors import ModelError
from edgesdk.model.constants import fold_constants
from edgesdk.model.lower import lower
from edgesdk.model.model import Model
from edgesdk.model.widen import widen
from edgesdk.tensors import TensorSpec

Shapes = Mapping[str, tuple[int, ...]]

IR_VERSION = 8
"""Of ONNX 1.10 to 1.13: what the parser of TensorRT 8.5 knows, and all later ones take."""


def prepare(model: Model, opset: int, shapes: Shapes) -> Model:
    """A new model for operator set `opset`; `shapes` gives sizes to inputs that lack them.

    Raises ModelError for missing or contradicting sizes and for an operator set that cannot be
    converted.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    widen(proto)
    _fix_shapes(proto, model.inputs, shapes)
    proto = _convert(proto, model.opset, opset)
    _constants_to_initializers(proto.graph)
    _drop_weight_inputs(proto.graph)
    _refuse_nan(proto.graph)
    _name_nodes(proto.graph)
    proto.ir_version = max(IR_VERSION, onnx.helper.OP_SET_ID_VERSION_MAP[("ai.onnx", opset)])
    del proto.graph.value_info[:]
    return Model.of(fold_constants(proto, _infer), model.name)


def _fix_shapes(proto: onnx.ModelProto, inputs: tuple[TensorSpec, ...], shapes: Shapes) -> None:
    known = {spec.name: spec for spec in inputs}
    for name in shapes:
        if name not in known:
            names = ", ".join(known)
            raise ModelError(f"a shape was given for {name!r}; the model's inputs are {names}")
    values = {value.name: value for value in proto.graph.input}
    for spec in inputs:
        shape = shapes.get(spec.name, spec.shape)
        if not all(isinstance(size, int) and size > 0 for size in shape):
            raise ModelError(
                f"the input {spec} has sizes that are not fixed",
                f"give them, for example --shape {spec.name}=1x3x640x640",
            )
        fits = len(shape) == len(spec.shape) and all(
            size in (own, 0) or not isinstance(own, int) or own <= 0
            for size, own in zip(shape, spec.shape, strict=False)
        )
        if not fits:
            wanted = "x".join(map(str, shape))
            raise ModelError(f"the input {spec} cannot have the shape {wanted}")
        for dim, size in zip(values[spec.name].type.tensor_type.shape.dim, shape, strict=True):
            dim.Clear()
            dim.dim_value = int(size)


def _convert(proto: onnx.ModelProto, own: int, opset: int) -> onnx.ModelProto:
    if own == opset:
        return proto
    if own > opset:
        return lower(proto, opset)
    try:
        converted: onnx.ModelProto = version_converter.convert_version(proto, opset)
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"operator set {own} cannot be converted to the target's {opset}: {first}",
            f"export the model with opset {opset}, or choose another JetPack with --jetpack",
        ) from error
    return converted


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
        else:
            kept.append(node)
    if len(kept) < len(graph.node):
        copies = [_copy(node) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)


def _drop_weight_inputs(graph: onnx.GraphProto) -> None:
    """Old exporters list every weight among the inputs too, as ONNX before 1.4 wanted it."""
    weights = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in weights]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in kept]
    del graph.input[:]
    graph.input.extend(copies)


def _refuse_nan(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise ModelError(f"the constant {tensor.name!r} holds NaN", "export the model again")


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _name_nodes(graph: onnx.GraphProto) -> None:
    taken: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}"
        while node.name in taken:
            node.name += "_"
        taken.add(node.name)


def _infer(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(
            proto, check_type=True, strict_mode=True, data_prop=True
        )
    except onnx.shape_inference.InferenceError as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"the shapes inside the model contradict each other: {first}",
            "check the sizes given with --shape, or export the model with these sizes",
        ) from error
    return inferred
