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
    writer = _Writer(lowered.graph, own.version, opset)
    nodes = [new for node in lowered.graph.node for new in writer.lowered(node)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del lowered.graph.node[:]
    lowered.graph.node.extend(copies)
    lowered.graph.initializer.extend(writer.made)
    own.version = opset
    return lowered


class _Writer:
    def __init__(self, graph: onnx.GraphProto, own: int, opset: int) -> None:
        self._own, self._opset = own, opset
        self._taken = names_in(graph)
        self._constants = {t.name: t for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                found = (a.t for a in node.attribute if a.name == "value")
                self._constants.update((node.output[0], tensor) for tensor in found)
        self.made: list[onnx.TensorProto] = []

    def lowered(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that stand for this one in the older set."""
        rewrite = _NEW.get(node.op_type)
        if rewrite and not _has(node.op_type, self._opset):
            return rewrite(self, node)
        if not _has(node.op_type, self._opset):
            raise self._refusal(node, "it does not exist there")
        new, old = (onnx.defs.get_schema(node.op_type, v, "") for v in (self._own, self._opset))
        if new.since_version != old.since_version:
            self._axes(node, old)
            self._attributes(node, new, old)
            while node.input and not node.input[-1]:
                del node.input[-1]
            if len(node.input) > old.max_input:
                raise self._refusal(node, f"it has the input {node.input[-1]!r}")
        return [node]

    def constant(self, node: onnx.NodeProto, value: float) -> str:
        """A new scalar float."""
        name = fresh(f"{node.output[0]}_constant", self._taken)
        self.made.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

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
            tensor = self._constants.get(node.input[1])
            if tensor is None:
                raise self._refusal(node, "its axes are computed at run time")
            axes: Array = numpy_helper.to_array(tensor)
            node.attribute.append(helper.make_attribute("axes", axes.tolist()))
        del node.input[1:]

    def _attributes(
        self, node: onnx.NodeProto, new: onnx.defs.OpSchema, old: onnx.defs.OpSchema
    ) -> None:
        """Leave out what the older set has not, where it only says the usual."""
        kept = []
        for attribute in node.attribute:
            if attribute.name in old.attributes:
                kept.append(attribute)
                continue
            value = helper.get_attribute_value(attribute)
            usual = new.attributes[attribute.name].default_value
            same = usual.type and value == helper.get_attribute_value(usual)
            parts = node.op_type == "Split" and attribute.name == "num_outputs"
            ones = attribute.name == "dilations" and set(value) == {1}
            if not (same or parts or ones):
                raise self._refusal(node, f"its {attribute.name} is {value!r}")
        copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
        del node.attribute[:]
        node.attribute.extend(copies)

    def _refusal(self, node: onnx.NodeProto, reason: str) -> ModelError:
        return ModelError(
            f"operator set {self._own} cannot be converted to the target's {self._opset}: "
            f"{node.op_type} {node.name!r}: {reason}",
            f"export the model with opset {self._opset}, or choose another JetPack with --jetpack",
        )


def _has(operator: str, opset: int) -> bool:
    return bool(onnx.defs.has(operator, opset, ""))


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


_NEW: Mapping[str, Callable[[_Writer, onnx.NodeProto], list[onnx.NodeProto]]] = {
    "Gelu": _gelu,
    "Mish": _mish,
}
