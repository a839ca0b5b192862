"""Networks as the parser fills them: inputs, outputs, and one layer for each ONNX node."""

from __future__ import annotations

from typing import Any

import onnx

LAYER_TYPES = {
    "Conv": "CONVOLUTION",
    "ConvTranspose": "DECONVOLUTION",
    "Relu": "ACTIVATION",
    "LeakyRelu": "ACTIVATION",
    "Sigmoid": "ACTIVATION",
    "Tanh": "ACTIVATION",
    "Clip": "ACTIVATION",
    "MaxPool": "POOLING",
    "AveragePool": "POOLING",
    "GlobalAveragePool": "REDUCE",
    "Add": "ELEMENTWISE",
    "Sub": "ELEMENTWISE",
    "Mul": "ELEMENTWISE",
    "Div": "ELEMENTWISE",
    "Gemm": "MATRIX_MULTIPLY",
    "MatMul": "MATRIX_MULTIPLY",
    "Concat": "CONCATENATION",
    "Resize": "RESIZE",
    "Softmax": "SOFTMAX",
    "Slice": "SLICE",
    "Reshape": "SHUFFLE",
    "Transpose": "SHUFFLE",
    "Flatten": "SHUFFLE",
    "QuantizeLinear": "QUANTIZE",
    "DequantizeLinear": "DEQUANTIZE",
    "Constant": "CONSTANT",
    "Cast": "CAST",
}
DATA_TYPES = {
    onnx.TensorProto.FLOAT: "FLOAT",
    onnx.TensorProto.FLOAT16: "HALF",
    onnx.TensorProto.INT8: "INT8",
    onnx.TensorProto.UINT8: "UINT8",
    onnx.TensorProto.INT32: "INT32",
    onnx.TensorProto.INT64: "INT64",
    onnx.TensorProto.BOOL: "BOOL",
}


def shape_of(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """With -1 where the size varies."""
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in dims)


def data_type(trt: Any, value: onnx.ValueInfoProto) -> Any:
    name = DATA_TYPES.get(value.type.tensor_type.elem_type, "FLOAT")
    return getattr(trt.DataType, name, trt.DataType.INT32)


def title_of(node: onnx.NodeProto, index: int) -> str:
    return node.name or f"(Unnamed Layer* {index}) [{node.op_type}]"


class INetworkDefinition:
    """State: `_model`, `_tensors` by name, `_inputs`, `_outputs`, `_layers`, `_flags`."""

    _trt: Any
    _model: onnx.ModelProto | None
    _inputs: list[Any]
    _outputs: list[Any]
    _layers: list[Any]

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_input(self, index: int) -> Any:
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index: int) -> Any:
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    def get_layer(self, index: int) -> Any:
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def get_flag(self, flag: Any) -> bool:
        return bool(self._flags & (1 << int(flag)))

    @property
    def flags(self) -> int:
        return self._flags

    _flags: int = 0

    @property
    def _explicit_batch(self) -> bool:
        return bool(self._flags & 1 << int(self._trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))

    def _fill(self, model: onnx.ModelProto) -> None:
        """Take the graph over. Constants of the graph are no inputs."""
        self._model = model
        graph = model.graph
        constants = {tensor.name for tensor in graph.initializer}
        known = [*graph.value_info, *graph.output, *graph.input]
        make = self._trt.ITensor._make
        tensors = {
            v.name: make(
                _name=v.name,
                _dtype=data_type(self._trt, v),
                _shape=self._trt.Dims(shape_of(v)),
                _is_network_input=v in graph.input,
                _is_network_output=v in graph.output,
            )
            for v in known
        }
        self._inputs = [tensors[v.name] for v in graph.input if v.name not in constants]
        self._outputs = [tensors[v.name] for v in graph.output]
        self._layers = [self._layer(node, i, tensors) for i, node in enumerate(graph.node)]

    def _layer(self, node: onnx.NodeProto, index: int, tensors: dict[str, Any]) -> Any:
        for name in [*node.input, *node.output]:
            if name and name not in tensors:
                tensors[name] = self._trt.ITensor._make(_name=name, _shape=self._trt.Dims(()))
        title = title_of(node, index)
        kinds = self._trt.LayerType  # 8.5 has no CAST: its parser makes an IDENTITY of it
        kind = getattr(kinds, LAYER_TYPES.get(node.op_type, "IDENTITY"), kinds.IDENTITY)
        return self._trt.ILayer._make(
            _name=title,
            _type=kind,
            _metadata=f"[ONNX Layer: {title}]",
            _node=node,
            _inputs=[tensors[name] for name in node.input if name],
            _outputs=[tensors[name] for name in node.output if name],
        )


class ITensor:
    """State: `_name`, `_dtype`, `_shape`, `_dynamic_range`."""

    _dynamic_range: Any = None

    def set_dynamic_range(self, min: float, max: float) -> bool:
        self._dynamic_range = (min, max)
        return True

    def reset_dynamic_range(self) -> None:
        self._dynamic_range = None


class ILayer:
    """State: `_inputs`, `_outputs`, `_precision`, `_output_types`."""

    _trt: Any
    _inputs: list[Any]
    _outputs: list[Any]

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index: int) -> Any:
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    @property
    def precision_is_set(self) -> bool:
        return "_precision" in self.__dict__

    def reset_precision(self) -> None:
        self.__dict__.pop("_precision", None)

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.__dict__.setdefault("_output_types", {})[index] = dtype

    def get_output_type(self, index: int) -> Any:
        return self.__dict__.get("_output_types", {}).get(index, self._outputs[index].dtype)

    def output_type_is_set(self, index: int) -> bool:
        return index in self.__dict__.get("_output_types", {})

    def reset_output_type(self, index: int) -> None:
        self.__dict__.get("_output_types", {}).pop(index, None)
