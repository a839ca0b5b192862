"""Writes FP16 into the graph: the strongly typed form that TensorRT 10 and 11 want."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.errors import ModelError, UnknownName
from edgesdk.model import Model
from edgesdk.model.edit import fresh, names_in, refuse_control_flow
from edgesdk.quantize.fp16.constants import is_mask, layers_of, to_half, unfit_nodes
from edgesdk.quantize.fp16.graph import View
from edgesdk.quantize.fp16.ports import GENERATORS, Ports


class Form(Enum):
    """In which of its types a float tensor is wanted."""

    WIDE = "fp32"
    HALF = "fp16"
    MASK = "fp16_mask"
    """float16, and huge negative constants stop where scores can still be added to them."""


def write_fp16(model: Model, keep: Collection[str] = ()) -> Model:
    """A new model that computes in float16; its inputs and outputs stay float32.

    `model` is a prepared float32 model, also one with Q/DQ pairs; `keep` names nodes that stay
    float32. So do, by themselves, operators that have no float16 form, nodes whose constants do
    not survive float16 (`find_islands` says which and why), and arithmetic on constants or
    integers alone, such as grids and indices.
    Casts stand only where a tensor changes between the two, one for each tensor; constants are
    stored in the types that are read.

    With Q/DQ, weights stay int8 and a scale becomes float16 where that keeps its 11 bits. A layer
    whose scale does not stays float32 with its pairs. Before operator set 19 Q/DQ take only
    float32: there all layers with pairs stay float32, and only the rest becomes float16.

    Raises ModelError for graphs with control flow and for tensors of unknown type, UnknownName
    for a name in `keep` that no node has.
    """
    refuse_control_flow(model)
    view, ports = View(model), Ports(model.opset)
    wide = _wide_nodes(view, ports, keep)
    writer = _Writer(view, ports, wide)
    for node in view.nodes:
        writer.add(node)
    return writer.finish()


def _wide_nodes(view: View, ports: Ports, keep: Collection[str]) -> frozenset[str]:
    names = {node.name for node in view.nodes}
    for name in keep:
        if name not in names:
            raise UnknownName("node", name, names)
    wide = set(keep) | set(unfit_nodes(view, ports))
    for node in view.nodes:
        if node.op_type in GENERATORS or not ports.is_plain(node):
            wide.add(node.name)
        if view.is_exact(node):
            wide.add(node.name)
        if node.op_type == "DequantizeLinear" and node.name in wide:
            wide |= {layer.name for layer in layers_of(view, node)}
    return frozenset(wide)


class _Writer:
    """Emits nodes in order; each tensor is given in a form when a node first wants it so."""

    def __init__(self, view: View, ports: Ports, wide: frozenset[str]) -> None:
        self._view = view
        self._ports = ports
        self._wide = wide
        self._taken = names_in(view.model.proto.graph)
        self._results = {value.name for value in view.model.proto.graph.output}
        self._names: dict[tuple[str, Form], str] = {}
        """(tensor, form) -> its name in the new graph."""
        self._native: dict[str, Form] = {}
        """Computed tensor -> the form that its node gives."""
        self._dequantizers: dict[str, onnx.NodeProto] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        for value in view.model.proto.graph.input:
            self._names[value.name, Form.WIDE] = value.name
            self._native[value.name] = Form.WIDE

    def add(self, node: onnx.NodeProto) -> None:
        """Write a node with the inputs that it wants and the outputs that it gives."""
        if node.op_type == "DequantizeLinear" and node.output[0] in self._view.floats:
            self._dequantizers[node.output[0]] = node  # written in the forms that are read
            return
        copy = _copy(node)
        wide = node.name in self._wide
        if node.op_type == "QuantizeLinear":
            wide = wide or self._native.get(node.input[0]) is not Form.HALF
        for index, name in self._view.float_inputs(node):
            half = not wide and self._ports.half_input(node, index)
            copy.input[index] = self._read(name, self._form(node, name) if half else Form.WIDE)
        for index, name in enumerate(node.output):
            if name in self._view.floats:
                half = not wide and self._ports.half_output(node, index)
                self._native[name] = Form.HALF if half else Form.WIDE
                copy.output[index] = self._name(name, self._native[name])
        if node.op_type == "Cast" and self._native.get(node.output[0]) is Form.HALF:
            next(a for a in copy.attribute if a.name == "to").i = TensorProto.FLOAT16
        self._nodes.append(copy)

    def finish(self) -> Model:
        """The new model, its types and shapes inferred anew."""
        model = self._view.model
        for value in model.proto.graph.output:
            if value.name in self._view.floats:
                self._read(value.name, Form.WIDE)
        others = [t for t in model.proto.graph.initializer if t.data_type != TensorProto.FLOAT]
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        del proto.graph.node[:], proto.graph.initializer[:], proto.graph.value_info[:]
        proto.graph.node.extend(self._nodes)
        proto.graph.initializer.extend([*others, *self._constants])
        try:
            inferred = onnx.shape_inference.infer_shapes(
                proto, check_type=True, strict_mode=True, data_prop=True
            )
        except onnx.shape_inference.InferenceError as error:
            raise ModelError(
                f"the graph cannot be written in FP16: {str(error).strip().splitlines()[0]}",
                "this is a defect of edgesdk: report it, and build with --precision fp32",
            ) from error
        return Model.of(inferred, model.name)

    def _form(self, node: onnx.NodeProto, name: str) -> Form:
        values = self._view.constants.get(name)
        masks = values is not None and is_mask(self._view, node, values)
        return Form.MASK if masks else Form.HALF

    def _read(self, name: str, form: Form) -> str:
        """The name of a tensor in a form, made now if nobody wanted it so before."""
        if (name, form) not in self._names:
            if name in self._view.constants:
                self._constant(name, form)
            elif name in self._dequantizers:
                self._dequantize(name, form)
            else:
                self._cast(name, form)
        return self._names[name, form]

    def _constant(self, name: str, form: Form) -> None:
        values = self._view.constants[name]
        stored = values if form is Form.WIDE else to_half(values, form is Form.MASK)
        self._constants.append(numpy_helper.from_array(stored, self._name(name, form)))

    def _dequantize(self, name: str, form: Form) -> None:
        """The type of its scale is the type that it gives: no cast is needed for either."""
        node = _copy(self._dequantizers[name])
        node.input[1] = self._read(node.input[1], form)
        node.output[0] = self._name(name, form)
        if node.output[0] != name:
            node.name = fresh(f"{node.name}_{form.value}", self._taken)
        self._nodes.append(node)

    def _cast(self, name: str, form: Form) -> None:
        source = self._names[name, self._native[name]]
        target = self._name(name, form)
        kind = TensorProto.FLOAT if form is Form.WIDE else TensorProto.FLOAT16
        node_name = fresh(f"{target}_Cast", self._taken)
        self._nodes.append(helper.make_node("Cast", [source], [target], name=node_name, to=kind))

    def _name(self, name: str, form: Form) -> str:
        """The first form keeps the tensor's name; a result of the graph has it in float32."""
        own = name not in self._results if form is not Form.WIDE else True
        used = {self._names.get((name, other)) for other in Form}
        is_free = name not in used and own
        chosen = name if is_free else fresh(f"{name}_{form.value}", self._taken)
        self._names[name, form] = chosen
        return chosen


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
