"""Which inputs and outputs of a node may be float16, from ONNX's own operator schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx

HALF = "tensor(float16)"
FIXED = {"Resize": (1,)}
"""Operator -> inputs that stay float32 though ONNX would let them be float16 (roi)."""
GENERATORS = frozenset(
    {
        "ConstantOfShape",
        "EyeLike",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
    }
)
"""Operators that make values of a type named in an attribute: float32 stays float32."""


@dataclass(frozen=True)
class Ports:
    """Answers for one operator set."""

    opset: int
    _known: dict[tuple[str, str], onnx.defs.OpSchema | None] = field(default_factory=dict)

    def half_input(self, node: onnx.NodeProto, index: int) -> bool:
        """Whether ONNX takes float16 at this input."""
        schema = self._schema(node)
        if schema is None or index in FIXED.get(node.op_type, ()):
            return False
        return _takes_half(schema.inputs, index)

    def half_output(self, node: onnx.NodeProto, index: int) -> bool:
        """Whether ONNX gives float16 at this output."""
        schema = self._schema(node)
        return schema is not None and _takes_half(schema.outputs, index)

    def is_plain(self, node: onnx.NodeProto) -> bool:
        """False for operators on sequences and optionals, and for unknown ones."""
        schema = self._schema(node)
        if schema is None:
            return False
        kinds = (kind for port in (*schema.inputs, *schema.outputs) for kind in port.types)
        return not any(kind.startswith(("seq(", "optional(")) for kind in kinds)

    def _schema(self, node: onnx.NodeProto) -> onnx.defs.OpSchema | None:
        key = (node.domain, node.op_type)
        if key not in self._known:
            self._known[key] = self._look_up(node)
        return self._known[key]

    def _look_up(self, node: onnx.NodeProto) -> onnx.defs.OpSchema | None:
        if node.domain not in ("", "ai.onnx"):
            return None
        try:
            return onnx.defs.get_schema(node.op_type, self.opset, "")
        except onnx.defs.SchemaError:
            return None


def _takes_half(ports: Sequence[onnx.defs.OpSchema.FormalParameter], index: int) -> bool:
    """The last port may stand for any number of inputs."""
    return bool(ports) and HALF in ports[min(index, len(ports) - 1)].types
