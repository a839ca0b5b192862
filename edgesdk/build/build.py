"""The steps of a build, in order. Nothing is written before the last one."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from edgesdk._progress import Progress, silent
from edgesdk._version import __version__
from edgesdk.backends import Backend, load_backend
from edgesdk.build.evidence import AccuracyMeter
from edgesdk.build.feeds import FEW
from edgesdk.build.quantization import Quantizer
from edgesdk.build.request import (
    GUESS,
    BuildRequest,
    complete_shapes,
    fitting_spec,
    image_input,
    refuse_quantized,
)
from edgesdk.bundle import (
    Bundle,
    LayerPrecision,
    Manifest,
    Origin,
    Target,
    check_place,
    write_bundle,
)
from edgesdk.calibration import load_recipe
from edgesdk.errors import ModelError
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import make_decoder

MOST_WORKERS = 4
"""Pictures measured at a time: each has its own copy of both models."""


def build(request: BuildRequest, out: Path, progress: Progress = silent) -> Bundle:
    """Build a bundle at `out`.

    Raises ModelError, DataError, UsageError or BundleError; then nothing was written.
    """
    backend = load_backend("onnxruntime", exact=True)
    refuse_quantized(request.model)
    shapes = complete_shapes(request)
    float_model = prepare(request.model, request.jetpack.max_opset, shapes)
    spec = fitting_spec(request.spec, image_input(float_model))
    check_place(out)
    if spec.decoder:  # a mistake in it should not cost the calibration first
        make_decoder(spec.decoder, "the spec", spec.preprocess)
    built, manifest = _write_precision(request, float_model, spec, backend, progress)
    _check(built, request.jetpack.max_opset)
    pictures = request.held_out
    if pictures is None and request.data is not None:
        # Without pictures kept apart, those of the calibration; for fp32, which only shows
        # that the conversion changed nothing, a few.
        limit = FEW if request.precision == "fp32" else load_recipe(request.recipe).max_pictures
        pictures = request.data.thinned(limit)
    if pictures is not None:
        meter = AccuracyMeter(
            float_model,
            built,
            spec,
            load_backend("onnxruntime", threads=1, exact=True),
            progress,
            sum(layer.macs for layer in manifest.layers),
            min(os.cpu_count() or 1, MOST_WORKERS),
        )
        accuracy = meter.measure(pictures, request.held_out is not None)
        manifest = replace(manifest, accuracy=accuracy)
    manifest = replace(manifest, warnings=_warnings(request, manifest))
    return write_bundle(out, built, manifest)


def _write_precision(
    request: BuildRequest,
    model: Model,
    spec: ModelSpec,
    backend: Backend,
    progress: Progress,
) -> tuple[Model, Manifest]:
    """The graph with its precision written into it, and all of the manifest known so far."""
    recipe = load_recipe(request.recipe)
    manifest = _manifest(request, model, spec)
    if request.precision == "int8" and request.data is not None:
        quantizer = Quantizer(model, spec.preprocess, request.recipe, recipe, backend, progress)
        made = quantizer.run(request.data)
        return made.model, replace(manifest, layers=made.layers, calibration=made.calibration)
    layers = tuple(
        LayerPrecision(layer.node, layer.operator, request.precision, layer.macs)
        for layer in find_layers(model, recipe.operators)
    )
    if request.precision == "fp16":
        return write_fp16(model), replace(manifest, layers=layers, other_nodes="fp16")
    return model, replace(manifest, layers=layers)


def _manifest(request: BuildRequest, model: Model, spec: ModelSpec) -> Manifest:
    given = request.model
    jetpack = request.jetpack
    return Manifest(
        name=given.name,
        sdk_version=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        precision=request.precision,
        origin=Origin(given.name, given.digest, given.opset),
        target=Target(request.device.name, jetpack.name, jetpack.tensorrt or "", model.opset),
        spec=spec,
    )


def _check(model: Model, max_opset: int) -> None:
    findings = check_for_tensorrt(model, max_opset)
    if findings:
        first = findings[0]
        raise ModelError(
            f"TensorRT would not take this graph as it is meant ({len(findings)} findings): "
            f"{first.node or 'the graph'}: {first.message} [{first.rule}]",
            "export the model again without that operator, or report it to edgesdk",
        )


def _warnings(request: BuildRequest, manifest: Manifest) -> tuple[str, ...]:
    found = [] if request.spec else [GUESS]
    calibration = manifest.calibration
    if calibration and calibration.pictures < FEW:
        found.append(
            f"only {calibration.pictures} pictures to calibrate with: "
            f"ranges may be too small; {FEW} or more are better, some hundreds are good"
        )
    skipped = dict(calibration.skipped if calibration else {})
    skipped |= manifest.accuracy.skipped if manifest.accuracy else {}
    if skipped:
        noun = "picture" if len(skipped) == 1 else "pictures"
        found.append(f"{len(skipped)} {noun} could not be read: left out")
    return tuple(found)
