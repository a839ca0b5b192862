"""Small bundles made by hand, without a build."""

from __future__ import annotations

from pathlib import Path

from edgesdk.bundle import Bundle, Manifest, Origin, Precision, Target, write_bundle
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.preprocess import Preprocess
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import INT8_OPERATORS, find_layers
from edgesdk.quantize.qdq import write_qdq
from edgesdk.spec import ModelSpec
from tests.onnx_graphs import small_detector

YOLOX = {"type": "yolox", "strides": (2,)}
DETECTOR = ModelSpec(Preprocess(32, 32, color="bgr"), dict(YOLOX), ("car", "bus"))
AMAX = 127 / 64
"""Of each tensor that a layer reads: a scale that FP16 holds."""


def detector_bundle(
    path: Path,
    precision: Precision = "int8",
    spec: ModelSpec | None = DETECTOR,
    jetpack: str = "6.2",
    device: str = "agx-orin-64gb",
) -> Bundle:
    """small_detector at a precision; INT8 with a FP16 rest where the JetPack's opset allows it."""
    opset, tensorrt = {"5.1.3": (17, "8.5.2.2"), "6.0": (17, "8.6.2")}.get(jetpack, (19, "10.3.0"))
    model = prepare(Model.of(small_detector()), opset, {})
    rest: Precision = "fp16" if opset >= 19 and precision != "fp32" else "fp32"
    if precision == "int8":
        layers = find_layers(model, INT8_OPERATORS)
        model = write_qdq(model, {layer.activation: AMAX for layer in layers}, layers)
    if rest == "fp16" or precision == "fp16":
        model = write_fp16(model)
    manifest = Manifest(
        name="net",
        sdk_version="0",
        created="2026-01-01T00:00:00+00:00",
        precision=precision,
        origin=Origin("net", "0" * 64, 17),
        target=Target(device, jetpack, tensorrt, opset),
        spec=spec,
        other_nodes=rest,
    )
    return write_bundle(path, model, manifest)
