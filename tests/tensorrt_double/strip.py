"""An ONNX file without its weights, and with them again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

WEIGHTS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def stripped(model: onnx.ModelProto) -> bytes:
    """All weights of floating point become zero; STRIP_PLAN leaves them out."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type in WEIGHTS and tensor.dims:
            empty = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(empty, tensor.name))
    return bytes(copy.SerializeToString())


def missing(model: onnx.ModelProto, given: Mapping[str, onnx.TensorProto]) -> list[str]:
    """Names of weights that `given` does not have, or has in another shape."""
    shapes = {name: tuple(tensor.dims) for name, tensor in given.items()}
    return [
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type in WEIGHTS
        and tensor.dims
        and shapes.get(tensor.name) != tuple(tensor.dims)
    ]


def refitted(model: onnx.ModelProto, given: Mapping[str, onnx.TensorProto]) -> bytes:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.name in given:
            tensor.CopyFrom(given[tensor.name])
    return bytes(copy.SerializeToString())
