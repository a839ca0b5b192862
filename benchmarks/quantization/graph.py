"""The form of a graph, counted in the same way for all, by what stands in it alone."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
MOVERS = (
    "Concat",
    "Flatten",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)
"""Operators whose outputs are values of their inputs; Resize too, when it takes the nearest."""
POINTWISE = ("Mul", "Add", "Sub", "Div")


def form(model: onnx.ModelProto, reference: onnx.ModelProto) -> dict[str, Any]:
    """Share of the work in INT8, and what differs from TensorRT's documented form."""
    weights = {t.name: t for t in model.graph.initializer}
    weights |= {n.output[0]: n.attribute[0].t for n in model.graph.node if n.op_type == "Constant"}
    made = {name: node for node in model.graph.node for name in node.output}
    pairs = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    quantizers = [n for n in pairs if n.op_type == "QuantizeLinear"]
    on_weights = [n for n in quantizers if n.input[0] in weights]
    activations = [n for n in quantizers if n.input[0] not in weights]
    inside, direct, total = _macs(model, made)
    extra = {kind: _count(model)[kind] - _count(reference)[kind] for kind in POINTWISE}
    return {
        "opset": next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
        "int8_mac_share": round(inside / total, 4) if total else 0.0,
        "int8_mac_share_direct": round(direct / total, 4) if total else 0.0,
        "activation_quantizers": len(activations),
        "per_channel_activation_quantizers": sum(_scales(n, weights) > 1 for n in activations),
        "uint8_nodes": sum(_is_uint8(n, weights, made) for n in pairs),
        "nonzero_zero_points": sum(_is_shifted(n, weights) for n in pairs),
        "weights_stored_as_float": len(on_weights),
        "quantized_biases": sum(_has_quantized_bias(n, made) for n in model.graph.node),
        "quantized_outputs": [
            o.name
            for o in model.graph.output
            if o.name in made and made[o.name].op_type == "DequantizeLinear"
        ],
        "extra_pointwise": {kind: number for kind, number in extra.items() if number},
    }


def _macs(model: onnx.ModelProto, made: dict[str, onnx.NodeProto]) -> tuple[int, int, int]:
    """Multiply-accumulates in INT8, those with no operator between pair and layer, and all.

    A layer is INT8 when both its data inputs come from a DequantizeLinear, directly or through
    operators that only move values: TensorRT moves a pair past those.
    """
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*graph.input, *graph.output, *graph.value_info)
    }
    shapes |= {t.name: tuple(t.dims) for t in graph.initializer}
    inside = direct = total = 0
    for node in graph.node:
        if node.op_type in LAYERS:
            macs = _layer_macs(node, shapes)
            total += macs
            if all(_is_dequantized(name, made) for name in node.input[:2]):
                inside += macs
                makers = [made[name].op_type for name in node.input[:2]]
                direct += macs if set(makers) == {"DequantizeLinear"} else 0
    return inside, direct, total


def _is_dequantized(name: str, made: dict[str, onnx.NodeProto]) -> bool:
    maker = made.get(name)
    if maker is None or maker.op_type == "DequantizeLinear":
        return maker is not None
    inputs = maker.input if maker.op_type == "Concat" else maker.input[:1]
    return _moves(maker) and all(_is_dequantized(i, made) for i in inputs)


def _moves(node: onnx.NodeProto) -> bool:
    mode = next((a.s for a in node.attribute if a.name == "mode"), b"nearest")
    return node.op_type in MOVERS or (node.op_type == "Resize" and mode == b"nearest")


def _layer_macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    data, weight, output = (shapes.get(n, ()) for n in (*node.input[:2], node.output[0]))
    if node.op_type == "Conv":
        return prod(output[:1]) * prod(output[2:]) * prod(weight)
    if node.op_type == "ConvTranspose":
        return prod(data[:1]) * prod(data[2:]) * prod(weight)
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return prod(output) * data[0 if transposed else -1] if data else 0
    return prod(output) * data[-1] if data else 0


def _count(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def _scales(node: onnx.NodeProto, weights: dict[str, TensorProto]) -> int:
    return prod(weights[node.input[1]].dims) if node.input[1] in weights else 1


def _is_uint8(
    node: onnx.NodeProto, weights: dict[str, TensorProto], made: dict[str, onnx.NodeProto]
) -> bool:
    """By its zero point; without one, by its input, and uint8 is what ONNX then quantizes to."""
    if len(node.input) > 2 and node.input[2] in weights:
        return weights[node.input[2]].data_type == TensorProto.UINT8
    if node.op_type == "DequantizeLinear":
        if node.input[0] in weights:
            return weights[node.input[0]].data_type == TensorProto.UINT8
        maker = made.get(node.input[0])
        return maker is not None and maker is not node and _is_uint8(maker, weights, made)
    kind = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
    return kind in (0, TensorProto.UINT8)


def _is_shifted(node: onnx.NodeProto, weights: dict[str, TensorProto]) -> bool:
    if len(node.input) < 3 or node.input[2] not in weights:
        return False
    return bool(np.any(numpy_helper.to_array(weights[node.input[2]])))


def _has_quantized_bias(node: onnx.NodeProto, made: dict[str, onnx.NodeProto]) -> bool:
    maker = made.get(node.input[2]) if node.op_type in LAYERS and len(node.input) > 2 else None
    return maker is not None and maker.op_type == "DequantizeLinear"
