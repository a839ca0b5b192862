"""The noun `Model`."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from edgesdk._digest import sha256_bytes
from edgesdk.tensors import TensorSpec


@dataclass(frozen=True, eq=False)
class Model:
    """An ONNX graph, its inputs and outputs, and the digest that names it."""

    proto: onnx.ModelProto
    """Not to be changed: copy it first (`onnx.ModelProto.CopyFrom`)."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    digest: str
    """SHA-256 of the file it was read from, or of its bytes when it was made here."""
    name: str = ""
    """For people: the file's stem."""

    @classmethod
    def of(cls, proto: onnx.ModelProto, name: str = "", digest: str = "") -> Model:
        """Wrap a graph. Without a digest, that of its bytes is taken."""
        weights = {tensor.name for tensor in proto.graph.initializer}
        return cls(
            proto,
            tuple(_spec(value) for value in proto.graph.input if value.name not in weights),
            tuple(_spec(value) for value in proto.graph.output),
            digest or sha256_bytes(to_bytes(proto)),
            name,
        )

    def to_bytes(self) -> bytes:
        """The ONNX file's content; the same graph always gives the same bytes."""
        return to_bytes(self.proto)

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return next((o.version for o in self.proto.opset_import if o.domain in ("", "ai.onnx")), 0)


def to_bytes(proto: onnx.ModelProto) -> bytes:
    """Serialize deterministically."""
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:
        dtype = "unknown"
    sizes = (_size(dim, axis) for axis, dim in enumerate(tensor.shape.dim))
    return TensorSpec(value.name, dtype, tuple(sizes))


def _size(dim: onnx.TensorShapeProto.Dimension, axis: int) -> int | str:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return dim.dim_param or f"axis{axis}"
