"""The steps of a build, in order. Nothing is written before the last one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from edgesdk._progress import Progress, silent
from edgesdk._version import __version__
from edgesdk.build.describe import calibration_rows, layer_rows
from edgesdk.build.feeds import FEW
from edgesdk.build.heads import explained, float_heads, with_float_heads
from edgesdk.build.inspection import inspect, with_thumbnails
from edgesdk.build.int8 import HALF_SCALES, Int8Maker, Int8Order, half_islands
from edgesdk.build.jury import JuryRoom
from edgesdk.build.request import (
    GUESS,
    REQUANTIZED,
    BuildRequest,
    chosen_spec,
    complete_shapes,
    float_model,
    make_feeds,
    no_dla,
)
from edgesdk.build.threshold import fit_threshold, no_threshold, with_threshold
from edgesdk.bundle import (
    Bundle,
    LayerPrecision,
    Manifest,
    Origin,
    Precision,
    Recovery,
    Target,
    check_place,
    write_bundle,
)
from edgesdk.calibration import load_recipe
from edgesdk.errors import ModelError
from edgesdk.lint import check_for_dla, check_for_tensorrt
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.model.quantized import quantized_operators
from edgesdk.pictures import PictureSet
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import make_decoder

MOST_WORKERS = 4
"""Pictures measured at a time: each has its own copy of both models."""


def build(request: BuildRequest, out: Path, progress: Progress = silent) -> Bundle:
    """Build a bundle at `out`.

    Raises ModelError, DataError, UsageError or BundleError; then nothing was written. A target
    that was missed is no error here: the bundle says so (`manifest.recovery`).
    """
    given = float_model(request)
    model = prepare(given, request.jetpack.max_opset, complete_shapes(request))
    spec = chosen_spec(request, model)
    check_place(out)
    if spec and spec.decoder:  # a mistake in it should not cost the calibration first
        make_decoder(spec.decoder, "the spec", spec.preprocess)
    jury = JuryRoom(request, model, spec, progress)
    built, manifest = _write_precision(request, model, spec, jury, progress)
    _check(built, request)
    if manifest.accuracy is None:
        manifest = replace(manifest, accuracy=jury.evidence(built))
    manifest = with_threshold(manifest, fit_threshold(request, model, spec, built, progress))
    manifest = replace(manifest, warnings=_warnings(request, manifest, model))
    return write_bundle(out, built, manifest)


def _write_precision(
    request: BuildRequest,
    model: Model,
    spec: ModelSpec | None,
    jury: JuryRoom,
    progress: Progress,
) -> tuple[Model, Manifest]:
    """The graph with its precision written into it, and all of the manifest known so far."""
    recipe = load_recipe(request.recipe)
    manifest = _manifest(request, model, spec)
    if request.precision == "int8" and request.data is not None:
        return _write_int8(request, model, manifest, jury, progress)
    layers = tuple(
        LayerPrecision(layer.node, layer.operator, request.precision, layer.macs)
        for layer in find_layers(model, recipe.operators)
    )
    if request.precision == "fp16":
        known = request.data or request.held_out
        islands = half_islands(model, jury.some_feeds()) if known else float_heads(model)
        half = write_fp16(model, islands)
        return half, replace(manifest, layers=layers, other_nodes="fp16", islands=islands)
    return model, replace(manifest, layers=layers)


def _write_int8(
    request: BuildRequest, model: Model, manifest: Manifest, jury: JuryRoom, progress: Progress
) -> tuple[Model, Manifest]:
    assert request.data is not None
    recipe = load_recipe(request.recipe)
    half = request.rest == "fp16" and model.opset >= HALF_SCALES
    target = recipe.max_drop if request.max_drop is None else request.max_drop
    order = Int8Order(recipe, with_float_heads(request.wishes, model), half, target)
    feeds = make_feeds(request.data, model, manifest.spec).thinned(recipe.max_pictures)
    seen_by_eye = None
    if isinstance(request.data, PictureSet) and manifest.spec:
        seen_by_eye = inspect(request.data, model, manifest.spec, progress)
    made = Int8Maker(model, order, feeds, jury, progress).make()
    calibration = calibration_rows(made, order, request.recipe, feeds)
    if seen_by_eye and isinstance(request.data, PictureSet):
        calibration = with_thumbnails(calibration, request.data)
        calibration = replace(
            calibration,
            variety=seen_by_eye.variety,
            preprocessing=seen_by_eye.preprocessing,
        )
    rest: Precision = "fp16" if half else "fp32"
    manifest = replace(
        manifest,
        layers=explained(layer_rows(made, rest), model),
        other_nodes=rest,
        islands=made.islands,
        calibration=calibration,
        recovery=made.recovery,
    )
    if made.measured is not None:
        manifest = replace(manifest, accuracy=jury.evidence(made.graph, made.measured))
    return made.graph, manifest


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


def _check(model: Model, request: BuildRequest) -> None:
    findings = check_for_tensorrt(model, request.jetpack.max_opset)
    if request.precision == "int8" and load_recipe(request.recipe).rules == "dla":
        findings += check_for_dla(model)
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
    if calibration and load_recipe(request.recipe).rules == "dla":
        found += no_dla(request)
    if calibration and calibration.pictures < FEW:
        found.append(
            f"only {calibration.pictures} pictures to calibrate with: "
            f"ranges may be too small; {FEW} or more are better, some hundreds are good"
        )
    found += _unsure(manifest.recovery)
    found += no_threshold(manifest.spec, manifest.accuracy)
    skipped = dict(calibration.skipped if calibration else {})
    skipped |= manifest.accuracy.skipped if manifest.accuracy else {}
    if skipped:
        noun = "picture" if len(skipped) == 1 else "pictures"
        found.append(f"{len(skipped)} {noun} could not be read: left out")
    return tuple(found)


def _unsure(recovery: Recovery | None) -> list[str]:
    """A target that the pictures neither show to hold nor to be missed."""
    if recovery is None or not recovery.reached or recovery.steps[-1].drop <= recovery.max_drop:
        return []
    last = recovery.steps[-1]
    return [
        f"{recovery.metric} is {last.drop:.4f} below the float model's on the verifying pictures, "
        f"and the target allows {recovery.max_drop:.4f}: too few pictures to tell the two apart"
    ]
