"""The steps of a build, in order. Nothing is written before the last one."""

from __future__ import annotations

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
    REQUANTIZED,
    BuildRequest,
    chosen_spec,
    complete_shapes,
    float_model,
    make_feeds,
)
from edgesdk.bundle import (
    Accuracy,
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
from edgesdk.model.quantized import quantized_operators
from edgesdk.pictures import PictureSet
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import make_decoder


def build(request: BuildRequest, out: Path, progress: Progress = silent) -> Bundle:
    """Build a bundle at `out`.

    Raises ModelError, DataError, UsageError or BundleError; then nothing was written.
    """
    backend = load_backend("onnxruntime", exact=True)
    given = float_model(request)
    shapes = complete_shapes(request)
    model = prepare(given, request.jetpack.max_opset, shapes)
    spec = chosen_spec(request, model)
    check_place(out)
    if spec and spec.decoder:  # a mistake in it should not cost the calibration first
        make_decoder(spec.decoder, "the spec", spec.preprocess)
    built, manifest = _write_precision(request, model, spec, backend, progress)
    _check(built, request.jetpack.max_opset)
    meter = AccuracyMeter(model, built, spec, backend, progress)
    manifest = replace(manifest, accuracy=_measure(request, meter))
    manifest = replace(manifest, warnings=_warnings(request, manifest, model))
    return write_bundle(out, built, manifest)


def _measure(request: BuildRequest, meter: AccuracyMeter) -> Accuracy | None:
    """Evidence on what was kept apart; without it on the calibration data; None without any."""
    data = request.held_out or request.data
    if data is None:
        return None
    held_out = request.held_out is not None
    # Without pictures kept apart, those of the calibration; for fp32, which only shows
    # that the conversion changed nothing, a few.
    limit = FEW if request.precision == "fp32" else load_recipe(request.recipe).max_pictures
    if isinstance(data, PictureSet) and meter.float_model.inputs[0].shape[0] == 1:
        return meter.measure(data if held_out else data.thinned(limit), held_out)
    feeds = make_feeds(data, meter.float_model, meter.spec)
    return meter.measure_feeds(feeds if held_out else feeds.thinned(limit), held_out)


def _write_precision(
    request: BuildRequest,
    model: Model,
    spec: ModelSpec | None,
    backend: Backend,
    progress: Progress,
) -> tuple[Model, Manifest]:
    """The graph with its precision written into it, and all of the manifest known so far."""
    recipe = load_recipe(request.recipe)
    manifest = _manifest(request, model, spec)
    if request.precision == "int8" and request.data is not None:
        quantizer = Quantizer(model, request.recipe, recipe, backend, progress)
        made = quantizer.run(make_feeds(request.data, model, spec))
        return made.model, replace(manifest, layers=made.layers, calibration=made.calibration)
    layers = tuple(
        LayerPrecision(layer.node, layer.operator, request.precision, layer.macs)
        for layer in find_layers(model, recipe.operators)
    )
    if request.precision == "fp16":
        return write_fp16(model), replace(manifest, layers=layers, other_nodes="fp16")
    return model, replace(manifest, layers=layers)


def _manifest(request: BuildRequest, model: Model, spec: ModelSpec | None) -> Manifest:
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


def _warnings(request: BuildRequest, manifest: Manifest, model: Model) -> tuple[str, ...]:
    found = [GUESS] if manifest.spec and not request.spec else []
    if request.requantize and quantized_operators(request.model):
        found.append(REQUANTIZED)
    if manifest.spec and model.inputs[0].shape[0] != 1:
        found.append(
            f"{model.inputs[0]} takes several pictures in one run; apps feed one at a time"
        )
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
