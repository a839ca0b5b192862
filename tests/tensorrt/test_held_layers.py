"""Layers that must stay in float when types are hints: the builder and trtexec are told the same.

The double shows what TensorRT is asked, not that it obeys.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesdk.backends.tensorrt.building.builder import BuildOrder, build_engine
from edgesdk.backends.tensorrt.building.graph_facts import read_facts
from edgesdk.backends.tensorrt.building.precision import decide_typing, hold
from edgesdk.backends.tensorrt.engines.material import material_of
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.backends.tensorrt.version import Version
from edgesdk.bundle import Precision
from edgesdk.exports import export_target, trtexec_arguments
from edgesdk.exports.trtexec import held_arguments
from edgesdk.model import Model
from edgesdk.quantize.fp16 import write_fp16
from tests.bundles import DETECTOR, detector_bundle
from tests.onnx_graphs import make_model
from tests.tensorrt_double import make_tensorrt
from tests.tensorrt_double.plan import read_plan

DLA = EngineSettings(dla=DlaSettings(), implicit_int8=True)


class Layer:
    """As much of ILayer as is read and written to."""

    num_outputs = 2

    def __init__(self, name: str, *outputs: str) -> None:
        self.name = name
        self.precision: object = None
        self.types: dict[int, object] = {}
        self.outputs = [SimpleNamespace(dtype=dtype) for dtype in outputs or ("float", "half")]

    def get_output(self, index: int) -> object:
        return self.outputs[index]

    def set_output_type(self, index: int, dtype: object) -> None:
        self.types[index] = dtype


def test_a_layer_is_held_in_its_precision_with_all_its_outputs() -> None:
    trt = cast(Any, SimpleNamespace(DataType=SimpleNamespace(FLOAT="float", HALF="half")))
    layers = [Layer("a"), Layer("b"), Layer("c")]
    network = cast(Any, SimpleNamespace(num_layers=3, get_layer=layers.__getitem__))
    assert hold(trt, network, {"a": "fp32", "c": "fp16", "gone": "fp32"}) == ("gone",)
    assert [layer.precision for layer in layers] == ["float", None, "half"]
    assert [layer.types for layer in layers] == [
        {0: "float", 1: "float"},
        {},
        {0: "half", 1: "half"},
    ]


def test_indices_stay_whole_numbers() -> None:
    """TopK's second output can be nothing but int32."""
    trt = cast(Any, SimpleNamespace(DataType=SimpleNamespace(FLOAT="float", HALF="half")))
    topk = Layer("topk", "float", "int32")
    network = cast(Any, SimpleNamespace(num_layers=1, get_layer=[topk].__getitem__))
    assert hold(trt, network, {"topk": "fp32"}) == ()
    assert topk.types == {0: "float"}


def with_float_middle(path: Path) -> Model:
    """The detector whose depthwise convolution is float between two pairs."""
    bundle = detector_bundle(path, jetpack="6.0")
    proto = onnx.ModelProto.FromString(bundle.model().to_bytes())
    for node in proto.graph.node:
        if node.name == "relu2":  # the next pair stands right behind the convolution
            proto.graph.node.remove(node)
            break
    for node in proto.graph.node:
        for index, name in enumerate(node.input):
            if name == "r2":
                node.input[index] = "c2"
            if node.name == "depthwise" and name == "r1_dequantized":
                node.input[index] = "r1"
    return Model.of(proto)


def test_what_the_bundle_has_in_float_goes_to_the_builder_as_pinned(tmp_path: Path) -> None:
    model = with_float_middle(tmp_path / "net.edge")
    # Its weight is stored as integers still, but no activation comes in quantized.
    material = material_of(model, DLA, None)
    assert material.pinned == {"depthwise": "fp16"}
    assert "depthwise" not in material.wanted_int8
    order = BuildOrder(ranges=material.ranges, pinned=material.pinned)
    trt = make_tensorrt("8.6.1")
    plan = read_plan(build_engine(trt, material.model, DLA, order).data)
    assert {"INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"} <= set(plan.flags)


def test_layers_that_cannot_be_int8_are_not_asked_for_again(tmp_path: Path) -> None:
    bundle = detector_bundle(tmp_path / "net.edge")
    material = material_of(bundle.model(), DLA, bundle)
    assert material.wanted_int8 == ("first", "depthwise")
    assert any("head" in warning for warning in material.warnings)


FLAGS = {"--int8": "int8", "--fp16": "fp16", "--stronglyTyped": "strong"}


@pytest.mark.parametrize("dla_core", [None, 0])
@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize(("jetpack", "version"), [("6.0", "8.6.1"), ("6.2", "10.3.0")])
def test_trtexec_is_told_the_precision_that_the_builder_asks_for(
    tmp_path: Path, jetpack: str, version: str, precision: Precision, dla_core: int | None
) -> None:
    bundle = detector_bundle(tmp_path / "net.edge", precision, DETECTOR, jetpack)
    target = export_target(bundle, "", dla_core)
    given = {a.partition("=")[0]: a.partition("=")[2] for a in trtexec_arguments(target)}
    pinned = target.implicit.pinned if target.settings.implicit_int8 else {}
    features = features_of(make_tensorrt(version))
    asked = decide_typing(features, read_facts(target.model), target.settings, pinned)
    for option, field in FLAGS.items():
        assert (option in given) == getattr(asked, field), option
    assert ("--precisionConstraints" in given) == bool(asked.held)


def test_trtexec_holds_float32_islands_with_their_outputs(tmp_path: Path) -> None:
    bundle = detector_bundle(tmp_path / "net.edge", "fp32", jetpack="6.0")
    target = export_target(bundle)
    half = write_fp16(bundle.model(), ["depthwise"])
    target.__dict__["model"] = half  # what a build with an island writes
    given = {a.partition("=")[0]: a.partition("=")[2] for a in trtexec_arguments(target)}
    assert given["--precisionConstraints"] == "obey"
    assert given["--layerPrecisions"] == "depthwise:fp32"
    assert given["--layerOutputTypes"] == "depthwise:fp32"
    eleven = replace(target, tensorrt=Version(11))
    assert "--layerPrecisions" not in " ".join(trtexec_arguments(eleven))


def test_trtexec_leaves_indices_whole_numbers() -> None:
    """TopK's second output can be nothing but int32."""
    node = helper.make_node("TopK", ["x", "k"], ["values", "indices"], "topk", axis=1)
    model = make_model([node], {"k": np.array([2])}, {"x": [1, 8]}, ["values"], 17)
    given = dict(each.split("=", 1) for each in held_arguments({"topk": "fp32"}, Model.of(model)))
    assert given["--layerPrecisions"] == "topk:fp32"
    assert given["--layerOutputTypes"] == "topk:fp32+int32"
