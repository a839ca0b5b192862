"""Older operator sets: torch.export writes 18 and later, TensorRT 8.5 and 8.6 take 17 at most.

ONNX's own converter knows few ways down. Most nodes mean the same in both sets; those that moved an
attribute to an input, or are new, are written the old way. What has no old way is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesdk.errors import ModelError
from edgesdk.model.edit import fresh, names_in
from edgesdk.tensors import Array


def lower(proto: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The same model in the older set `opset`. Raises ModelError naming the operator."""
    lowered = onnx.ModelProto()
    lowered.CopyFrom(proto)
    newest = onnx.defs.onnx_opset_version()
    own = next(o for o in lowered.opset_import if o.domain in ("", "ai.onnx"))
    if own.version > newest:
        raise ModelError(
            f"the model is of operator set {own.version}; onnx {onnx.__version__} knows {newest}",
            f"export the model with opset {opset}, or update the package onnx",
        )
    inferred = onnx.shape_inference.infer_shapes(lowered).graph
    values = (*inferred.input, *inferred.value_info)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in values}
    writer = _Writer(lowered.graph, own.version, opset, ranks)
    nodes = [new for node in lowered.graph.node for new in writer.lowered(node)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del lowered.graph.node[:]
    lowered.graph.node.extend(copies)
    lowered.graph.initializer.extend(writer.made)
    own.version = opset
    return lowered


_NEW_VALUES = {b"wrap": 19, b"half_pixel_symmetric": 19}
"""Settings of Pad and Resize -> the operator set that brought them."""


class _Writer:
    def __init__(
        self, graph: onnx.GraphProto, own: int, opset: int, ranks: Mapping[str, int]
    ) -> None:
        self._own, self._opset, self._ranks = own, opset, ranks
        self._taken = names_in(graph)
        self._constants = {t.name: t for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                found = (a.t for a in node.attribute if a.name == "value")
                self._constants.update((node.output[0], tensor) for tensor in found)
        self.made: list[onnx.TensorProto] = []

    def lowered(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that stand for this one in the older set."""
        if node.domain not in ("", "ai.onnx"):
            return [node]
        since = onnx.defs.get_schema(node.op_type, self._own, "").since_version
        if node.op_type in _REWRITTEN and self._opset < since:
            return _REWRITTEN[node.op_type](self, node)
        if not onnx.defs.has(node.op_type, self._opset, ""):
            raise self.refusal(node, "it does not exist there")
        new, old = (onnx.defs.get_schema(node.op_type, v, "") for v in (self._own, self._opset))
        if new.since_version != old.since_version:
            self._axes(node, old)
            self._attributes(node, new, old)
            while node.input and not node.input[-1]:
                del node.input[-1]
            if len(node.input) > old.max_input:
                raise self.refusal(node, f"it has the input {node.input[-1]!r}")
        return [node]

    def constant(self, node: onnx.NodeProto, value: object, dtype: type = np.float32) -> str:
        """A new constant."""
        name = fresh(f"{node.output[0]}_constant", self._taken)
        self.made.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def name(self, wanted: str) -> str:
        """A name that is not taken yet."""
        return fresh(wanted, self._taken)

    def value(self, node: onnx.NodeProto, index: int) -> Array:
        """What a constant input holds."""
        tensor = self._constants.get(node.input[index])
        if tensor is None:
            raise self.refusal(node, f"its input {node.input[index]!r} is computed at run time")
        found: Array = numpy_helper.to_array(tensor)
        return found

    def rank(self, node: onnx.NodeProto) -> int:
        """Axes of the node's first input."""
        if node.input[0] not in self._ranks:
            raise self.refusal(node, f"the shape of {node.input[0]!r} is not known")
        return self._ranks[node.input[0]]

    def chain(
        self, node: onnx.NodeProto, steps: list[tuple[str, list[str]]]
    ) -> list[onnx.NodeProto]:
        """Nodes one after the other; "" among the inputs stands for the one before."""
        nodes: list[onnx.NodeProto] = []
        for index, (kind, inputs) in enumerate(steps):
            last = index == len(steps) - 1
            output = node.output[0] if last else fresh(f"{node.output[0]}_{index}", self._taken)
            given = [name or nodes[-1].output[0] for name in inputs]
            name = fresh(f"{node.name}_{kind}_{index}", self._taken)
            nodes.append(helper.make_node(kind, given, [output], name))
        return nodes

    def _axes(self, node: onnx.NodeProto, old: onnx.defs.OpSchema) -> None:
        """Axes of a reduction, as the attribute that they were."""
        if not node.op_type.startswith("Reduce") or "axes" not in old.attributes:
            return
        if len(node.input) > 1 and node.input[1]:
            axes = self.value(node, 1)
            node.attribute.append(helper.make_attribute("axes", axes.tolist()))
        del node.input[1:]

    def _attributes(
        self, node: onnx.NodeProto, new: onnx.defs.OpSchema, old: onnx.defs.OpSchema
    ) -> None:
        """Leave out what the older set has not, where it only says the usual."""
        kept = []
        for attribute in node.attribute:
            value = helper.get_attribute_value(attribute)
            if attribute.name in old.attributes:
                if attribute.s in _NEW_VALUES and self._opset < _NEW_VALUES[attribute.s]:
                    raise self.refusal(node, f"its {attribute.name} is {value!r}")
                kept.append(attribute)
                continue
            usual = new.attributes[attribute.name].default_value
            same = usual.type and value == helper.get_attribute_value(usual)
            parts = node.op_type == "Split" and attribute.name == "num_outputs"
            ones = attribute.name == "dilations" and set(value) == {1}
            if not (same or parts or ones):
                raise self.refusal(node, f"its {attribute.name} is {value!r}")
        copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
        del node.attribute[:]
        node.attribute.extend(copies)

    def refusal(self, node: onnx.NodeProto, reason: str) -> ModelError:
        """An error that names the node."""
        return ModelError(
            f"operator set {self._own} cannot be converted to the target's {self._opset}: "
            f"{node.op_type} {node.name!r}: {reason}",
            f"export the model with opset {self._opset}, or choose another JetPack with --jetpack",
        )


def _gelu(writer: _Writer, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """x/2 (1 + erf(x / sqrt 2)), or its tanh form: both as in ONNX's definition of Gelu."""
    x, half, one = node.input[0], writer.constant(node, 0.5), writer.constant(node, 1.0)
    approximate = next((a.s for a in node.attribute if a.name == "approximate"), b"none")
    if approximate == b"tanh":
        cube, root = writer.constant(node, 0.044715), writer.constant(node, np.sqrt(2 / np.pi))
        inner = [("Mul", [x, x]), ("Mul", ["", x]), ("Mul", ["", cube]), ("Add", ["", x])]
        inner += [("Mul", ["", root]), ("Tanh", [""])]
    else:
        inner = [("Div", [x, writer.constant(node, np.sqrt(2))]), ("Erf", [""])]
    return writer.chain(node, [*inner, ("Add", ["", one]), ("Mul", ["", x]), ("Mul", ["", half])])


def _mish(writer: _Writer, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """x tanh(softplus(x))."""
    x = node.input[0]
    return writer.chain(node, [("Softplus", [x]), ("Tanh", [""]), ("Mul", ["", x])])


def _swish(writer: _Writer, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """x sigmoid(alpha x)."""
    x = node.input[0]
    alpha = next((a.f for a in node.attribute if a.name == "alpha"), 1.0)
    scaled = [("Mul", [x, writer.constant(node, alpha)])] if alpha != 1 else []
    inner = [*scaled, ("Sigmoid", [""] if scaled else [x])]
    return writer.chain(node, [*inner, ("Mul", ["", x])])


def _group_normalization(writer: _Writer, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """An instance of each group, normalized; then scale and bias of each channel."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    x, groups = node.input[0], int(attributes["num_groups"])
    ones, zeros = (writer.constant(node, [v] * groups) for v in (1.0, 0.0))
    by_group = writer.constant(node, [0, groups, -1], np.int64)
    shape = _shape_of(writer, node)
    along = (-1, *[1] * (writer.rank(node) - 2))
    scale, bias = (
        writer.constant(node, np.asarray(writer.value(node, i)).reshape(along)) for i in (1, 2)
    )
    nodes = writer.chain(
        node,
        [
            ("Reshape", [x, by_group]),
            ("InstanceNormalization", ["", ones, zeros]),
            ("Reshape", ["", shape.output[0]]),
            ("Mul", ["", scale]),
            ("Add", ["", bias]),
        ],
    )
    nodes[1].attribute.append(helper.make_attribute("epsilon", attributes.get("epsilon", 1e-5)))
    return [shape, *nodes]


def _shape_of(writer: _Writer, node: onnx.NodeProto) -> onnx.NodeProto:
    """A node that gives the shape of the first input."""
    name = writer.name(f"{node.output[0]}_shape")
    return helper.make_node("Shape", [node.input[0]], [name], writer.name(f"{node.name}_Shape"))


def _grid_sample(writer: _Writer, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Set 20 only gave the modes other names."""
    for attribute in node.attribute:
        if attribute.name == "mode":
            attribute.s = {b"linear": b"bilinear", b"cubic": b"bicubic"}.get(
                attribute.s, attribute.s
            )
    return [node]


_REWRITTEN: Mapping[str, Callable[[_Writer, onnx.NodeProto], list[onnx.NodeProto]]] = {
    "Gelu": _gelu,
    "Mish": _mish,
    "Swish": _swish,
    "GroupNormalization": _group_normalization,
    "GridSample": _grid_sample,
}
