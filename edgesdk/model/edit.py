"""Small changes to a graph, each giving a new model."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from edgesdk.errors import ModelError
from edgesdk.model.model import Model


def initializers(model: Model) -> dict[str, onnx.TensorProto]:
    """Constant tensors by name."""
    return {tensor.name: tensor for tensor in model.proto.graph.initializer}


def value_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors that shape inference knows, by name."""
    graph = model.proto.graph
    shapes = {t.name: tuple(t.dims) for t in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return shapes


def with_outputs(model: Model, names: Iterable[str]) -> Model:
    """The same model with these float tensors as outputs too."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    present = {value.name for value in (*proto.graph.output, *proto.graph.input)}
    for name in names:
        if name not in present:
            value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            proto.graph.output.append(value)
            present.add(name)
    return Model.of(proto, model.name)


def refuse_control_flow(model: Model) -> None:
    """Raise ModelError for If, Loop and Scan: precision is not written into their inner graphs."""
    for node in model.proto.graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ModelError(
                f"{node.op_type} {node.name!r} holds a graph of its own; only --precision fp32 "
                "takes that",
                "export the model without If, Loop and Scan",
            )


def names_in(graph: onnx.GraphProto) -> set[str]:
    """All names of tensors and nodes."""
    tensors = {name for node in graph.node for name in (*node.input, *node.output)}
    values = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    return tensors | values | {node.name for node in graph.node}


def fresh(name: str, taken: set[str]) -> str:
    """`name`, or with underscores after it where it is taken; it is taken from now on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def only_outputs(model: Model, names: Iterable[str]) -> Model:
    """The part of the model that makes these float tensors, with them as its only outputs."""
    wanted = list(dict.fromkeys(names))
    needed, kept = set(wanted), []
    for node in reversed(model.proto.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    for field in (graph.node, graph.output, graph.value_info, graph.initializer):
        del field[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(t for t in model.proto.graph.initializer if t.name in needed)
    made = {name for node in kept for name in node.output}
    for name in wanted:
        if name in made:
            graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    return Model.of(proto, model.name)
