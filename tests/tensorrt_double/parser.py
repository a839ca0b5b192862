"""The ONNX parser: reads the graph with onnx, refuses what TensorRT's is known to refuse."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.shape_inference
from google.protobuf.message import DecodeError

UNKNOWN = ("QLinearConv", "QLinearMatMul", "ConvInteger", "Det", "StringNormalizer", "Unique")
"""Operators of ONNX that no TensorRT has."""
NO_PLUGIN = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'


def problems(model: onnx.ModelProto) -> Iterator[tuple[str, int, str]]:
    """Error code, node and text for each node that is refused."""
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for i, node in enumerate(model.graph.node):
        if node.op_type in UNKNOWN:
            yield "UNSUPPORTED_NODE", i, "false"  # the whole of what the real one says
        elif node.domain not in ("", "ai.onnx"):
            yield "INVALID_NODE", i, NO_PLUGIN
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale = constants.get(node.input[1])
            zero = constants.get(node.input[2]) if len(node.input) > 2 else None
            if scale is not None and not (scale > 0).all():
                yield "INVALID_NODE", i, "Scale coefficients must all be positive"
            if zero is not None and zero.any():
                yield "INVALID_NODE", i, "Non-zero zero point is not supported"


class OnnxParser:
    """State: `_network` (not owned, as in the real one), `_logger`, `_errors`."""

    _trt: Any

    def __init__(self, network: Any, logger: Any) -> None:
        self._network = weakref.ref(network)
        self._logger = logger
        self._errors: list[Any] = []
        self._chosen = 0

    def parse(self, model: Any, path: str | None = None) -> bool:
        network = self._network()
        if network is None:
            raise RuntimeError("the network was collected before its parser: TensorRT crashes here")
        if self._trt.__version__.startswith("8") and not network._explicit_batch:
            text = "This version of the ONNX parser only supports networks with an explicit batch"
            self._error("INVALID_GRAPH", 0, text)
            return False
        try:
            read = onnx.load_model_from_string(bytes(model))
            whole = onnx.shape_inference.infer_shapes(read)
        except (DecodeError, onnx.shape_inference.InferenceError) as error:
            self._error("MODEL_DESERIALIZE_FAILED", 0, f"Failed to parse the ONNX model. {error}")
            return False
        for code, node, text in problems(whole):
            self._error(code, node, text, whole.graph.node[node])
        if not self._errors:
            network._fill(whole)
        return not self._errors

    def parse_from_file(self, model: str) -> bool:
        return OnnxParser.parse(self, Path(model).read_bytes())

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index] if 0 <= index < len(self._errors) else None

    def clear_errors(self) -> None:
        self._errors.clear()

    def set_flag(self, flag: Any) -> None:
        self._chosen |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self._chosen &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self._chosen & 1 << int(flag))

    def supports_operator(self, op_name: str) -> bool:
        return op_name not in UNKNOWN

    def _error(self, code: str, index: int, text: str, node: Any = None) -> None:
        made = self._trt.ParserError._make(
            _code=getattr(self._trt.ErrorCode, code), _index=index, _text=text, _source=node
        )
        self._errors.append(made)
        where = f"While parsing node number {index} [{node.op_type}]: " if node else ""
        self._logger.log(self._trt.ILogger.ERROR, f"{where}{text}")


class ParserError:
    """One refusal."""

    _code: Any
    _index: int
    _text: str
    _source: Any

    def code(self) -> Any:
        return self._code

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return self._index

    def node_name(self) -> str:
        return self._source.name if self._source else ""

    def node_operator(self) -> str:
        return self._source.op_type if self._source else ""

    def file(self) -> str:
        return "ModelImporter.cpp"

    def func(self) -> str:
        return "parse"

    def line(self) -> int:
        return 0

    def local_function_stack(self) -> list[str]:
        return []

    def local_function_stack_size(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"In node {self._index} ({self._code}): {self._text}"


class OnnxParserRefitter:
    """Puts the weights of an ONNX file back into a stripped engine."""

    _trt: Any

    def __init__(self, refitter: Any, logger: Any) -> None:
        self._refitter = refitter
        self._logger = logger

    def refit_from_bytes(self, model: Any, path: str | None = None) -> bool:
        try:
            given = onnx.load_model_from_string(bytes(model))
        except DecodeError as error:
            self._logger.log(self._trt.ILogger.ERROR, f"Failed to parse the ONNX model. {error}")
            return False
        self._refitter._given = {tensor.name: tensor for tensor in given.graph.initializer}
        return True

    def refit_from_file(self, model: str) -> bool:
        return OnnxParserRefitter.refit_from_bytes(self, Path(model).read_bytes())

    @property
    def num_errors(self) -> int:
        return 0
