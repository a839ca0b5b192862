"""Models that are quantized already: counting what they hold, and taking it out again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk.errors import ModelError
from edgesdk.model.edit import fresh, names_in, refuse_control_flow
from edgesdk.model.model import Model
from edgesdk.tensors import Array

PAIRS = ("QuantizeLinear", "DequantizeLinear")


def quantized_operators(model: Model) -> dict[str, int]:
    """How many there are of each operator that quantizes or computes with integers by scales."""
    kinds = Counter(node.op_type for node in model.proto.graph.node)
    return {kind: count for kind, count in sorted(kinds.items()) if _is_quantized(kind)}


def strip_quantization(model: Model) -> Model:
    """The float model under Q/DQ pairs: activations pass, stored weights become float constants.

    Its constants are what the integers stood for, so the rounding of the first quantization stays
    in them, and a clamp that only a pair's range carried (a ReLU6 fused into it) is gone.
    Raises ModelError for integer operators, If/Loop/Scan and pairs that do not pair up.
    """
    found = quantized_operators(model)
    integer = [kind for kind in found if kind not in PAIRS]
    if integer:
        raise ModelError(
            f"the model computes with {', '.join(integer)}: only pairs of "
            "QuantizeLinear and DequantizeLinear around float operators can be taken out",
            "give edgesdk the float model",
        )
    if not found:
        return model
    refuse_control_flow(model)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    _Stripper(proto.graph).run()
    del proto.graph.value_info[:]
    return Model.of(proto, model.name)


def _is_quantized(kind: str) -> bool:
    integer = kind.startswith("QLinear") or kind in ("ConvInteger", "MatMulInteger", "QGemm")
    return integer or kind in (*PAIRS, "DynamicQuantizeLinear")


class _Stripper:
    """Takes the pairs out of one graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {t.name: t for t in graph.initializer}
        for node in graph.node:
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if node.op_type == "Constant" and value is not None:
                self._constants[node.output[0]] = value
        self._source: dict[str, str] = {}
        """Tensor that is gone -> the one read instead."""

    def run(self) -> None:
        kept = [node for node in self._graph.node if not self._drops(node)]
        made = {out for node in kept for out in node.output}
        outputs = {value.name for value in self._graph.output}
        names = {v: self._final(v) for v in self._source}
        renamed = self._outputs(names, made, outputs)
        for node in kept:
            for fields in (node.input, node.output):
                for i, name in enumerate(fields):
                    fields[i] = renamed.get(names.get(name, name), names.get(name, name))
        self._finish(kept, [(names[o], o) for o in outputs & set(names)], renamed)

    def _drops(self, node: onnx.NodeProto) -> bool:
        """True for a node of a pair; notes what takes its place."""
        if node.op_type not in PAIRS:
            return False
        if node.op_type == "DequantizeLinear" and node.input[0] in self._constants:
            tensor = self._graph.initializer.add()
            tensor.CopyFrom(numpy_helper.from_array(self._as_float(node), node.output[0]))
            return True
        dequantizes = node.op_type == "DequantizeLinear"
        if dequantizes and not self._comes_from_q(node.input[0]):
            raise ModelError(
                f"{node.name or node.output[0]!r} dequantizes {node.input[0]!r}, "
                "which no QuantizeLinear made",
                "give edgesdk the float model",
            )
        self._source[node.output[0]] = node.input[0]
        return True

    def _comes_from_q(self, tensor: str) -> bool:
        """Through nodes that only move values, as exporters put them between Q and DQ."""
        makers = {out: node for node in self._graph.node for out in node.output}
        while tensor in makers and makers[tensor].op_type != "QuantizeLinear":
            if not makers[tensor].input:
                return False
            tensor = makers[tensor].input[0]
        return tensor in makers

    def _as_float(self, node: onnx.NodeProto) -> Array:
        """(stored - zero point) * scale, as ONNX defines DequantizeLinear."""
        stored = numpy_helper.to_array(self._constants[node.input[0]]).astype(np.float32)
        scale = self._given(node, 1, stored)
        zero = self._given(node, 2, stored)
        kind = self._constants[node.input[1]].data_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        values: Array = ((stored - zero) * scale).astype(dtype)
        return values

    def _given(self, node: onnx.NodeProto, index: int, stored: Array) -> Array:
        """Scale or zero point, in a shape that fits the stored values."""
        if len(node.input) <= index or not node.input[index]:
            return np.zeros((), np.float32)
        if node.input[index] not in self._constants:
            raise ModelError(
                f"{node.name or node.output[0]!r} has a scale or zero point computed at run time",
                "give edgesdk the float model",
            )
        value: Array = numpy_helper.to_array(self._constants[node.input[index]]).astype(np.float32)
        if value.size == 1:
            return value.reshape(())
        sizes = {a.name: int(a.i) for a in node.attribute}
        axis = sizes.get("axis", 1) % stored.ndim
        if block := sizes.get("block_size", 0):
            return np.repeat(value, block, axis)
        return value.reshape([-1 if i == axis else 1 for i in range(stored.ndim)])

    def _final(self, tensor: str) -> str:
        while tensor in self._source:
            tensor = self._source[tensor]
        return tensor

    def _outputs(self, names: dict[str, str], made: set[str], outputs: set[str]) -> dict[str, str]:
        """A tensor of a node that takes the name of the graph output which it now is."""
        renamed: dict[str, str] = {}
        for output in sorted(outputs & set(names)):
            tensor = names[output]
            if tensor in made and tensor not in outputs and tensor not in renamed:
                renamed[tensor] = output
        return renamed

    def _finish(
        self,
        kept: list[onnx.NodeProto],
        wanted: list[tuple[str, str]],
        renamed: dict[str, str],
    ) -> None:
        taken = names_in(self._graph)
        for tensor, output in wanted:
            now = renamed.get(tensor, tensor)
            if now != output:
                name = fresh(f"{output}_Identity", taken)
                kept.append(onnx.helper.make_node("Identity", [now], [output], name))
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del self._graph.node[:]
        self._graph.node.extend(copies)
        read = {name for node in copies for name in node.input}
        read |= {value.name for value in self._graph.output}
        tensors = [t for t in self._graph.initializer if t.name in read]
        weights = [onnx.TensorProto.FromString(t.SerializeToString()) for t in tensors]
        del self._graph.initializer[:]
        self._graph.initializer.extend(weights)
