"""DeepStream: the config file of nvinfer, with what nvinfer does otherwise said in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgesdk.bundle import Precision
from edgesdk.errors import UsageError
from edgesdk.exports.files import CACHE, CONFIG, ENGINE, GRAPH, LABELS, SCRIPT
from edgesdk.exports.nvinfer_input import input_differences, input_keys
from edgesdk.exports.nvinfer_output import OutputKeys, label_file, output_keys
from edgesdk.exports.target import ExportTarget
from edgesdk.spec import ModelSpec

MODES = {"fp32": "0", "int8": "1", "fp16": "2"}
"""Of nvinfer's network-mode."""
WIDTH = 98


@dataclass(frozen=True)
class DeepStreamFiles:
    """What nvinfer is configured with."""

    config: str
    """config_infer_primary.txt; files are named relative to it."""
    labels: str
    """labels.txt; empty: the bundle has no labels."""
    differences: tuple[str, ...]
    """What nvinfer does otherwise than the bundle, in sentences; they stand in `config` too."""


def deepstream_files(target: ExportTarget) -> DeepStreamFiles:
    """The config and labels of a bundle. Raises UsageError for one without preprocessing."""
    spec = target.bundle.manifest.spec
    if spec is None:
        raise UsageError(
            f"{target.bundle.path} says nothing of pictures, and nvinfer feeds nothing else",
            "build it with --spec",
        )
    outputs = output_keys(spec, target.model)
    differences = (
        *input_differences(spec.preprocess),
        *outputs.differences,
        *_engine_differences(target),
    )
    text = "\n".join([*_head(target, differences), *_properties(target, spec, outputs), ""])
    labels = label_file(spec) if spec.labels else ""
    return DeepStreamFiles(text, labels, differences)


def _head(target: ExportTarget, differences: tuple[str, ...]) -> Iterator[str]:
    manifest = target.bundle.manifest
    yield from _comment(
        f"{CONFIG}: nvinfer for {manifest.name}, {manifest.precision.upper()}, on "
        f"{target.device.title} with TensorRT {target.tensorrt}. Written by edgesdk "
        f"from the bundle {target.bundle.digest[:12]}; not run with DeepStream."
    )
    yield from _comment(f"First run {SCRIPT} on the board: nvinfer then loads {ENGINE}.")
    yield "#"
    yield from _comment("What nvinfer does otherwise than the bundle:")
    for number, sentence in enumerate(differences, 1):
        yield from _comment(f"{number}. {sentence}.")


def _properties(target: ExportTarget, spec: ModelSpec, outputs: OutputKeys) -> Iterator[str]:
    yield from ("", "[property]", "gpu-id=0", "gie-unique-id=1", "process-mode=1", "interval=0")
    yield f"onnx-file={GRAPH}"
    yield f"model-engine-file={ENGINE}"
    if spec.labels:
        yield f"labelfile-path={LABELS}"
    yield f"batch-size={_batch(target)}"
    yield f"network-mode={MODES[target.bundle.manifest.precision]}"
    if target.has_int8 and target.takes_calibration:
        yield f"int8-calib-file={CACHE}"
    if target.settings.dla:
        yield from ("enable-dla=1", f"use-dla-core={target.settings.dla.core}")
    if held := [f"{n}:{kind}:gpu" for n, kind in _pinned(target).items() if not _unspeakable(n)]:
        yield f"layer-device-precision={';'.join(held)}"
    keys = input_keys(spec.preprocess) | outputs.properties
    yield from (f"{key}={value}" for key, value in keys.items())
    if outputs.missing:
        yield from _comment("To be filled in, see above:")
        yield from (f"#{line}" for line in outputs.missing)
    if outputs.classes:
        yield from ("", "[class-attrs-all]")
        yield from (f"{key}={value}" for key, value in outputs.classes.items())


def _batch(target: ExportTarget) -> int:
    """The most pictures in one run: fixed, or the end of a range."""
    first = target.model.inputs[0]
    if isinstance(first.shape[0], int):
        return first.shape[0]
    varying = target.settings.shapes.get(first.name)
    return varying.max[0] if varying else 1


def _pinned(target: ExportTarget) -> Mapping[str, Precision]:
    """Layers that nvinfer must be told to keep in float; on the GPU, since DLA has no FP32."""
    return target.implicit.pinned if target.settings.implicit_int8 else {}


def _unspeakable(name: str) -> bool:
    """nvinfer splits its list of layers at semicolons, and each at the first colon."""
    return ":" in name or ";" in name


def _engine_differences(target: ExportTarget) -> Iterator[str]:
    if target.settings.implicit_int8:
        yield from target.implicit.warnings
        if lost := [name for name in _pinned(target) if _unspeakable(name)]:
            yield (
                f"layer-device-precision cannot name {lost[0]!r}, for its : or ;: an engine that "
                "nvinfer builds by itself may run it in INT8"
            )
    elif target.has_int8 and target.takes_calibration:
        yield (
            "an engine that nvinfer builds by itself is another one: it sets INT8 alone, without "
            f"FP16 or strong typing. {CACHE} only keeps it from falling back to FP16; the scales "
            "are those of the Q/DQ in the graph"
        )
    elif target.has_int8:
        yield (
            "this TensorRT has no calibration caches, and takes INT8 from the Q/DQ in the graph: "
            "what nvinfer builds by itself was not tried"
        )


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="# ", subsequent_indent="#    ", break_on_hyphens=False
    )
