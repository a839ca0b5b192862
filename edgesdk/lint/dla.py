"""What DLA asks of scales beside TensorRT's own rules.

Its Concat and its pooling write with the scale that they read with, and its additions take both
inputs in the same precision (TensorRT's guide, "DLA Supported Layers and Restrictions").
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import numpy_helper

from edgesdk.lint.rules import Finding
from edgesdk.model import Model
from edgesdk.model.edit import initializers

ONE_SCALE = frozenset({"Concat", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
ONE_PRECISION = ONE_SCALE | {"Add", "Sub", "Mul", "Sum", "Max", "Min"}


def check_for_dla(model: Model) -> tuple[Finding, ...]:
    """Operators whose inputs are INT8 and whose scales DLA could not keep; none: all is well."""
    return tuple(_findings(model))


def _findings(model: Model) -> Iterator[Finding]:
    constants = initializers(model)
    nodes = model.proto.graph.node
    makers = {out: node for node in nodes for out in node.output}
    quantizers = {n.input[0]: n for n in nodes if n.op_type == "QuantizeLinear"}

    def scale(node: onnx.NodeProto | None) -> float | None:
        while node is not None and node.op_type == "Cast":  # before an island in float32
            node = makers.get(node.input[0])
        if node is None or node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            return None
        tensor = constants.get(node.input[1])
        return None if tensor is None else float(numpy_helper.to_array(tensor).reshape(-1)[0])

    for node in nodes:
        if node.op_type not in ONE_PRECISION:
            continue
        read = [scale(makers.get(name)) for name in node.input if name not in constants]
        paired = {found for found in read if found is not None}
        if paired and None in read:
            message = f"{node.op_type} reads INT8 and float; DLA wants one of them"
            yield Finding("dla-precision", node.name, message)
        written = scale(quantizers.get(node.output[0]))
        found = paired | ({written} if written is not None and paired else set())
        if node.op_type in ONE_SCALE and len(found) > 1:
            listed = ", ".join(f"{value:g}" for value in sorted(found))
            message = f"{node.op_type} reads and writes with several scales ({listed}), not one"
            yield Finding("dla-scales", node.name, message)
