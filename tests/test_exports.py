"""DeepStream and trtexec from a bundle: what they are told, and what they cannot be told is said.

Neither DeepStream nor trtexec is here. The config is read as GLib's key files are, its formula is
computed with numpy; the command's options are held against those in trtexec's own sources.
"""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from onnx import helper

from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.backends.tensorrt.version import Version
from edgesdk.bundle import InputRange, Precision, write_bundle
from edgesdk.errors import UnknownName, UsageError
from edgesdk.exports import (
    ExportTarget,
    export_target,
    trtexec_arguments,
    trtexec_script,
    write_export,
)
from edgesdk.exports.deepstream import deepstream_files
from edgesdk.exports.nvinfer_input import normalization
from edgesdk.model import Model
from edgesdk.preprocess import Preprocess, Resize
from edgesdk.quantize.layers import INT8_OPERATORS, find_layers
from edgesdk.quantize.qdq import write_qdq
from edgesdk.spec import ModelSpec
from tests.bundles import DETECTOR, detector_bundle
from tests.onnx_graphs import make_model

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TO_ONE = 1 / 255

Config = dict[str, dict[str, str]]


def read(text: str) -> Config:
    """Groups and keys, as GLib's key files have them: a comment is a line of its own."""
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=("#",), interpolation=None, strict=True
    )
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def target(
    tmp_path: Path,
    precision: Precision = "int8",
    spec: ModelSpec = DETECTOR,
    jetpack: str = "6.2",
    dla_core: int | None = None,
) -> ExportTarget:
    bundle = detector_bundle(tmp_path / "net.edge", precision, spec, jetpack)
    return export_target(bundle, "", dla_core)


def config(tmp_path: Path, spec: ModelSpec) -> tuple[Config, str]:
    """The config of an INT8 bundle, and all that is said about differences in it."""
    files = deepstream_files(target(tmp_path, spec=spec))
    said = " ".join(files.differences)
    comments = [line.lstrip("# ") for line in files.config.splitlines() if line.startswith("#")]
    for sentence in files.differences:
        assert sentence in " ".join(comments), "said, but not in the file"
    return read(files.config), said


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (TO_ONE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (1.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
        (1.0, (103.53, 116.28, 123.675), (1.0, 1.0, 1.0)),
        (TO_ONE, IMAGENET_MEAN, (0.226, 0.226, 0.226)),
    ],
)
def test_nvinfer_s_formula_gives_the_bundle_s_input(
    tmp_path: Path,
    color: Literal["rgb", "bgr"],
    scale: float,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> None:
    preprocess = Preprocess(32, 32, color=color, scale=scale, mean=mean, std=std)
    keys = config(tmp_path, replace(DETECTOR, preprocess=preprocess))[0]["property"]
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)  # BGR
    ours = preprocess.normalize(pixels)[0]
    ordered = pixels[..., ::-1] if keys["model-color-format"] == "0" else pixels
    offsets = [float(v) for v in keys.get("offsets", "0;0;0").split(";")]
    theirs = np.float32(keys["net-scale-factor"]) * (
        ordered.transpose(2, 0, 1).astype(np.float32) - np.float32(offsets)[:, None, None]
    )
    # Two roundings of float32 at values up to 255.
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=255 * scale / min(std) * 1e-6)


def test_one_factor_for_three_std_is_said_with_its_error(tmp_path: Path) -> None:
    preprocess = Preprocess(32, 32, scale=TO_ONE, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    keys, said = config(tmp_path, replace(DETECTOR, preprocess=preprocess))
    # Factors 1/(255 * .229) to 1/(255 * .224): the middle is 1/(255 * .2265), 1.1 % from both.
    factor = float(keys["property"]["net-scale-factor"])
    assert factor == pytest.approx(1 / (255 * 0.2265))
    assert "wrong by up to 1.1%" in said
    offsets = [float(v) for v in keys["property"]["offsets"].split(";")]
    assert offsets == pytest.approx([123.675, 116.28, 103.53])


def test_an_exact_preprocessing_is_not_called_wrong(tmp_path: Path) -> None:
    preprocess = Preprocess(32, 32, resize="stretch", scale=TO_ONE)
    assert normalization(preprocess).worst == 0
    _, said = config(tmp_path, replace(DETECTOR, preprocess=preprocess))
    assert "wrong by" not in said
    assert "black" not in said


@pytest.mark.parametrize(
    ("resize", "pad", "expected", "words"),
    [
        ("letterbox", 114, {"maintain-aspect-ratio": "1", "symmetric-padding": "1"}, "grey 114"),
        ("letterbox-top-left", 0, {"maintain-aspect-ratio": "1", "symmetric-padding": "0"}, ""),
        ("stretch", 114, {"maintain-aspect-ratio": "0"}, ""),
        ("center-crop", 114, {"maintain-aspect-ratio": "0"}, "no center crop"),
    ],
)
def test_resizing_is_told_as_far_as_nvinfer_knows_it(
    tmp_path: Path, resize: Resize, pad: int, expected: dict[str, str], words: str
) -> None:
    preprocess = Preprocess(32, 32, resize=resize, pad_value=pad)
    keys, said = config(tmp_path, replace(DETECTOR, preprocess=preprocess))
    found = {k: v for k, v in keys["property"].items() if "aspect" in k or "padding" in k}
    assert found == expected
    assert words in said
    assert ("black" in said) == (pad != 0 and resize.startswith("letterbox"))


def test_a_detector_s_thresholds_classes_and_missing_parser_are_told(tmp_path: Path) -> None:
    decoder = {
        "type": "yolox",
        "strides": (2,),
        "score_threshold": 0.25,
        "iou_threshold": 0.6,
        "max_detections": 50,
        "class_agnostic": True,
        "inside_threshold": 0.9,
    }
    keys, said = config(tmp_path, replace(DETECTOR, decoder=decoder))
    assert keys["class-attrs-all"] == {
        "pre-cluster-threshold": "0.25",
        "nms-iou-threshold": "0.6",
        "topk": "50",
    }
    found = keys["property"]
    assert (found["network-type"], found["cluster-mode"]) == ("0", "2")
    assert found["num-detected-classes"] == "2"
    assert "no parser for the outputs of yolox" in said
    assert "class_agnostic" in said
    assert "inside_threshold = 0.9" in said


def test_boxes_that_the_graph_has_suppressed_are_not_clustered_again(tmp_path: Path) -> None:
    keys, said = config(tmp_path, replace(DETECTOR, decoder={"type": "end2end"}))
    assert keys["property"]["network-type"] == "0"
    assert keys["property"]["cluster-mode"] == "4"
    assert keys["class-attrs-all"] == {"pre-cluster-threshold": "0.3", "topk": "300"}
    assert "no parser for the outputs of end2end" in said


def test_the_lines_that_only_the_user_knows_stand_there_to_be_filled_in(tmp_path: Path) -> None:
    text = deepstream_files(target(tmp_path)).config
    assert "\n#parse-bbox-func-name=...\n#custom-lib-path=...\n" in text


def test_without_labels_the_classes_of_a_yolox_head_are_counted(tmp_path: Path) -> None:
    files = deepstream_files(target(tmp_path, spec=replace(DETECTOR, labels=())))
    keys = read(files.config)["property"]
    assert keys["num-detected-classes"] == "2"  # 7 values for each box: 4 + 1 + 2
    assert "labelfile-path" not in keys
    assert files.labels == ""


def test_a_classifier_has_its_labels_on_one_line_and_its_logits_are_warned_of(
    tmp_path: Path,
) -> None:
    spec = ModelSpec(Preprocess(32, 32), {"type": "classes"}, ("cat", "dog;wolf"))
    keys, said = config(tmp_path, spec)
    assert keys["property"]["network-type"] == "1"
    assert "class-attrs-all" not in keys
    assert "logits" in said
    assert "'dog;wolf'" in said
    assert deepstream_files(target(tmp_path, spec=spec)).labels == "cat;dog;wolf\n"


def test_without_a_decoder_the_raw_outputs_are_handed_on(tmp_path: Path) -> None:
    keys, said = config(tmp_path, ModelSpec(Preprocess(32, 32)))
    assert keys["property"]["network-type"] == "100"
    assert keys["property"]["output-tensor-meta"] == "1"
    assert "no decoder" in said


@pytest.mark.parametrize(("precision", "mode"), [("fp32", "0"), ("int8", "1"), ("fp16", "2")])
def test_the_precision_is_the_bundle_s(tmp_path: Path, precision: Precision, mode: str) -> None:
    keys = read(deepstream_files(target(tmp_path, precision)).config)["property"]
    assert keys["network-mode"] == mode
    assert ("int8-calib-file" in keys) == (precision == "int8")
    assert keys["batch-size"] == "1"
    assert keys["infer-dims"] == "3;32;32"


# Of the keys in gstnvinfer_property_parser.h, those that a detector or classifier may need.
NVINFER_KEYS = """
gpu-id gie-unique-id process-mode interval onnx-file model-engine-file labelfile-path batch-size
network-mode int8-calib-file enable-dla use-dla-core layer-device-precision infer-dims
net-scale-factor offsets model-color-format maintain-aspect-ratio symmetric-padding
scaling-filter network-type output-tensor-meta cluster-mode num-detected-classes
classifier-threshold parse-bbox-func-name custom-lib-path
pre-cluster-threshold nms-iou-threshold topk
"""


@pytest.mark.parametrize("kind", ["yolox", "classes", ""])
@pytest.mark.parametrize("dla_core", [None, 0])
def test_only_keys_that_nvinfer_knows_are_written(
    tmp_path: Path, kind: str, dla_core: int | None
) -> None:
    preprocess = Preprocess(32, 32, scale=TO_ONE, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    spec = ModelSpec(preprocess, {"type": kind} if kind else {}, ("car",))
    found = read(deepstream_files(target(tmp_path, spec=spec, dla_core=dla_core)).config)
    assert {key for group in found.values() for key in group} <= set(NVINFER_KEYS.split())


def test_layers_that_stay_in_float_are_named_to_nvinfer(tmp_path: Path) -> None:
    asked = target(tmp_path, dla_core=0)
    pinned: dict[str, Precision] = {"depthwise": "fp16", "relu1": "fp32", "scope:0": "fp16"}
    asked.__dict__["implicit"] = replace(asked.implicit, pinned=pinned)
    files = deepstream_files(asked)
    keys = read(files.config)["property"]
    assert keys["layer-device-precision"] == "depthwise:fp16:gpu;relu1:fp32:gpu"
    assert any("cannot name 'scope:0'" in sentence for sentence in files.differences)


def test_dla_gets_its_core_the_graph_without_q_dq_and_the_cache(tmp_path: Path) -> None:
    made = write_export("deepstream", target(tmp_path, dla_core=1), tmp_path / "out")
    keys = read(made.files["config_infer_primary.txt"].decode())["property"]
    assert (keys["enable-dla"], keys["use-dla-core"]) == ("1", "1")
    for key in ("onnx-file", "int8-calib-file", "labelfile-path"):
        assert (tmp_path / "out" / keys[key]).is_file()
    assert b"QuantizeLinear" not in made.files["model.onnx"]
    # images, r1 and r2 have pairs of scale 1/64; c1 and c2 follow from the Relus behind them.
    lines = made.files["calibration.cache"].decode().splitlines()
    assert lines[0] == "TRT-100300-EntropyCalibration2"
    assert {line.partition(":")[0] for line in lines[1:]} == {"images", "c1", "r1", "c2", "r2"}
    assert {line.partition(":")[2] for line in lines[1:]} == {" 3c800000"}


def test_tensorrt_11_reads_no_cache_and_nvinfer_is_given_none(tmp_path: Path) -> None:
    eleven = replace(target(tmp_path), tensorrt=Version(11, 4, 1))
    with pytest.raises(UsageError, match="reads no calibration caches") as caught:
        write_export("calibration-cache", eleven, tmp_path / "out")
    assert "--to trtexec" in caught.value.hint
    assert not (tmp_path / "out").exists()
    made = write_export("deepstream", eleven, tmp_path / "out")
    assert "calibration.cache" not in made.files
    assert (
        "int8-calib-file" not in read(made.files["config_infer_primary.txt"].decode())["property"]
    )


def test_an_unknown_form_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there is no export named 'deepstrem'") as caught:
        write_export("deepstrem", target(tmp_path), tmp_path / "out")
    assert caught.value.hint == "did you mean deepstream?"


# ------------------------------------------------------------------------------ trtexec

COMMON = {"onnx", "saveEngine", "useDLACore", "allowGPUFallback", "memPoolSize", "timingCacheFile"}
COMMON |= {"profilingVerbosity", "exportLayerInfo", "minShapes", "optShapes", "maxShapes"}
WEAK = {"int8", "fp16", "calib", "precisionConstraints", "layerPrecisions", "layerOutputTypes"}
SINCE_86 = {"builderOptimizationLevel", "versionCompatible", "skipInference"}
# As samples/common/sampleOptions.cpp of these releases parses them; 11's no-op --stronglyTyped and
# 8.5's --buildOnly are noted as they are.
KNOWN = {
    "5.1.3": COMMON | WEAK | {"buildOnly"},
    "6.0": COMMON | WEAK | SINCE_86,
    "6.2": COMMON | WEAK | SINCE_86 | {"stronglyTyped", "stripWeights"},
}


def options(arguments: tuple[str, ...]) -> dict[str, str]:
    assert all(argument.startswith("--") for argument in arguments)
    return {name[2:]: value for name, _, value in (a.partition("=") for a in arguments)}


@pytest.mark.parametrize(
    ("precision", "dla_core"),
    [("int8", None), ("fp16", None), ("fp32", None), ("int8", 0), ("fp16", 0)],
)
@pytest.mark.parametrize("jetpack", KNOWN)
def test_trtexec_gets_only_options_that_its_version_knows(
    tmp_path: Path, jetpack: str, precision: Precision, dla_core: int | None
) -> None:
    found = options(
        trtexec_arguments(target(tmp_path, precision, jetpack=jetpack, dla_core=dla_core))
    )
    assert set(found) <= KNOWN[jetpack]


@pytest.mark.parametrize(
    ("jetpack", "precision", "expected"),
    [
        ("5.1.3", "int8", {"int8"}),
        ("5.1.3", "fp16", {"fp16"}),
        ("5.1.3", "fp32", set()),
        ("6.0", "int8", {"int8"}),
        ("6.2", "int8", {"stronglyTyped"}),
        ("6.2", "fp16", {"stronglyTyped"}),
        ("6.2", "fp32", {"stronglyTyped"}),
    ],
)
def test_precision_is_the_graph_s_by_strong_typing_or_by_the_flags_that_say_the_same(
    tmp_path: Path, jetpack: str, precision: Precision, expected: set[str]
) -> None:
    found = options(trtexec_arguments(target(tmp_path, precision, jetpack=jetpack)))
    assert set(found) & (WEAK | {"stronglyTyped"}) == expected


def test_for_dla_ranges_come_by_the_cache(tmp_path: Path) -> None:
    found = options(trtexec_arguments(target(tmp_path, dla_core=1)))
    assert set(found) & (WEAK | {"stronglyTyped"}) == {"int8", "fp16", "calib"}
    assert found["calib"] == "calibration.cache"
    assert found["useDLACore"] == "1"
    assert found["allowGPUFallback"] == ""


def test_tensorrt_11_gets_no_flag_of_precision(tmp_path: Path) -> None:
    eleven = replace(target(tmp_path), tensorrt=Version(11, 4, 1))
    found = options(trtexec_arguments(eleven))
    assert not set(found) & (WEAK | {"stronglyTyped"})
    assert "skipInference" in found


def test_settings_become_options_with_sizes_in_mib(tmp_path: Path) -> None:
    shape = ShapeRange((1, 3, 32, 32), (4, 3, 32, 32), (8, 3, 64, 64))
    settings = EngineSettings(
        shapes={"images": shape, "in:1": shape},
        workspace_bytes=3 << 29,
        optimization_level=5,
        dla=DlaSettings(0, gpu_fallback=False, sram_bytes=4096, local_bytes=1 << 30),
        version_compatible=True,
        strip_weights=True,
    )
    found = options(trtexec_arguments(replace(target(tmp_path), settings=settings)))
    assert found["memPoolSize"] == "workspace:1536,dlaSRAM:0.00390625,dlaLocalDRAM:1024"
    assert found["minShapes"] == "images:1x3x32x32,'in:1':1x3x32x32"
    assert found["optShapes"] == "images:4x3x32x32,'in:1':4x3x32x32"
    assert found["maxShapes"] == "images:8x3x64x64,'in:1':8x3x64x64"
    assert found["builderOptimizationLevel"] == "5"
    assert "allowGPUFallback" not in found
    assert {"versionCompatible", "stripWeights"} <= set(found)


def test_without_a_workspace_it_is_a_quarter_of_the_device_s_memory(tmp_path: Path) -> None:
    found = options(trtexec_arguments(target(tmp_path)))
    assert found["memPoolSize"] == "workspace:16384"  # 64 GiB / 4


def test_an_input_of_varying_size_has_its_range_from_the_bundle(tmp_path: Path) -> None:
    weight = np.ones((4, 3, 3, 3), np.float32)
    nodes = [helper.make_node("Conv", ["images", "w"], ["out"], "conv")]
    float_net = Model.of(make_model(nodes, {"w": weight}, {"images": ["n", 3, 32, 32]}, ["out"]))
    model = write_qdq(float_net, {"images": 1.0}, find_layers(float_net, INT8_OPERATORS))
    given = detector_bundle(tmp_path / "fixed.edge").manifest
    sizes = InputRange((1, 3, 32, 32), (4, 3, 32, 32), (8, 3, 32, 32))
    manifest = replace(given, shapes={"images": sizes}, target=replace(given.target, opset=17))
    asked = export_target(write_bundle(tmp_path / "net.edge", model, manifest))
    found = options(trtexec_arguments(asked))
    assert found["minShapes"] == "images:1x3x32x32"
    assert found["optShapes"] == "images:4x3x32x32"
    assert found["maxShapes"] == "images:8x3x32x32"
    assert read(deepstream_files(asked).config)["property"]["batch-size"] == "8"
    assert asked.implicit.model.inputs[0].shape == ("n", 3, 32, 32)
    assert asked.implicit.ranges == pytest.approx({"images": 1.0})


@pytest.mark.parametrize(
    ("jetpack", "settings", "option"),
    [
        ("5.1.3", EngineSettings(optimization_level=2), "--builderOptimizationLevel"),
        ("5.1.3", EngineSettings(version_compatible=True), "--versionCompatible"),
        ("6.0", EngineSettings(strip_weights=True), "--stripWeights"),
    ],
)
def test_what_an_old_trtexec_cannot_do_is_refused(
    tmp_path: Path, jetpack: str, settings: EngineSettings, option: str
) -> None:
    asked = replace(target(tmp_path, jetpack=jetpack), settings=settings)
    with pytest.raises(UsageError, match=f"has no {option}"):
        trtexec_arguments(asked)


@pytest.mark.parametrize("name", ["a,b", "it's", "a*"])
def test_a_name_that_trtexec_s_lists_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    shape = ShapeRange((1, 3, 32, 32), (1, 3, 32, 32), (2, 3, 32, 32))
    asked = replace(target(tmp_path), settings=EngineSettings(shapes={name: shape}))
    with pytest.raises(UsageError, match="cannot be told of"):
        trtexec_arguments(asked)


def test_the_script_gives_trtexec_the_arguments_whatever_the_shell_makes_of_them(
    tmp_path: Path,
) -> None:
    shape = ShapeRange((1, 3, 32, 32), (1, 3, 32, 32), (2, 3, 32, 32))
    settings = EngineSettings(shapes={'$(rm -rf x) `y` "z":0': shape})
    asked = replace(target(tmp_path), settings=settings)
    folder = tmp_path / "a folder; with $signs"
    folder.mkdir()
    script = folder / "build_engine.sh"
    script.write_text(trtexec_script(asked))
    stand_in = tmp_path / "trtexec"
    stand_in.write_text('#!/bin/sh\npwd\nfor a in "$@"; do printf "%s\\n" "$a"; done\n')
    stand_in.chmod(0o755)
    environment = {**os.environ, "TRTEXEC": str(stand_in)}
    done = subprocess.run(
        ["sh", str(script)], env=environment, capture_output=True, text=True, check=True
    )
    where, *arguments = done.stdout.splitlines()
    assert Path(where).resolve() == folder.resolve()
    assert tuple(arguments) == trtexec_arguments(asked)
    command = trtexec_script(asked).split("exec ", 1)[1].replace("\\\n", " ")
    assert tuple(shlex.split(command)[1:]) == trtexec_arguments(asked)
