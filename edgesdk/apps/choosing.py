"""The model of a run: which one it is, and what it is as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk.apps.folder import App
from edgesdk.backends import load_backend
from edgesdk.bundle import Bundle, open_bundle
from edgesdk.errors import ModelError, UnknownName
from edgesdk.model import Model, read_model
from edgesdk.pipeline import ClassifyPictures, InspectParts
from edgesdk.sinks import ModelFacts
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Runner
from edgesdk.vision.decoders import DetectionDecoder, make_decoder
from edgesdk.vision.detector import Detector


@dataclass(frozen=True)
class RunModel:
    """The model of a run and what is known of it."""

    model: Model
    spec: ModelSpec
    kind: Literal["bundle", "float model"]
    digest: str
    """Of the bundle, or of the ONNX file."""
    precision: str
    where: str
    bundle: Bundle | None = None
    """None: a float model."""
    inspect: InspectParts | None = None
    """The stage that it works in where parts are inspected; None: nobody says how to read it."""
    classify: ClassifyPictures | None = None
    """The stage that it works in, of a classifier in an app that classifies whole pictures."""


def batch_of(model: Model) -> int:
    """How many pictures the model takes at once; 1 where that is not fixed."""
    first = model.inputs[0].shape[0] if model.inputs and model.inputs[0].shape else 1
    return max(first, 1) if isinstance(first, int) else 1


def choose_model(app: App, bundle: Path | None = None) -> RunModel:
    """The bundle that is named, or the app's own, or its float model while there is none."""
    place = bundle or app.bundle_path
    path = None if bundle or place.exists() else app.model_path()
    if path is None:
        return model_of_bundle(place)
    spec = app.spec()
    if spec is None:
        raise ModelError(f"{path}: the app says nothing of its preprocessing and decoder")
    model = read_model(path)
    return RunModel(model, spec, "float model", model.digest, "fp32", str(path))


def make_detector(chosen: RunModel, runner: Runner) -> Detector:
    """The model as a detector. Raises ModelError when it is none."""
    decoder = detection_decoder(chosen)
    return Detector(chosen.spec.preprocess, runner, chosen.model.inputs[0].name, decoder)


def detection_decoder(chosen: RunModel) -> DetectionDecoder:
    """How the boxes are read. Raises ModelError for a model that gives none."""
    if not chosen.spec.decoder:
        raise ModelError(
            f"{chosen.where}: its spec names no decoder, so nothing can be found with it",
            "build it with a --spec that has a [decoder] table",
        )
    decoder = make_decoder(chosen.spec.decoder, chosen.where, chosen.spec.preprocess)
    if decoder.task != "detect":
        raise ModelError(
            f"{chosen.where}: its decoder {chosen.spec.decoder['type']!r} is for {decoder.task};"
            " this run needs a detector",
            "a model that inspects parts runs in an app that finds them:"
            f" edgesdk run line_inspection --bundle {chosen.where}",
        )
    if len(chosen.model.inputs) != 1:
        names = ", ".join(spec.name for spec in chosen.model.inputs)
        raise ModelError(f"{chosen.where}: a detector has one input, found {names}")
    return decoder


def model_of_bundle(path: Path) -> RunModel:
    """A bundle that is named. Raises ModelError when it says nothing of its preprocessing."""
    bundle = open_bundle(path)
    spec = bundle.manifest.spec
    if spec is None:
        raise ModelError(
            f"{path}: this bundle says nothing of preprocessing and decoder",
            "build it again with --spec",
        )
    precision = bundle.manifest.precision
    return RunModel(bundle.model(), spec, "bundle", bundle.digest, precision, str(path), bundle)


def model_facts(
    app: App, chosen: RunModel, backend: str, finders: Sequence[RunModel] = ()
) -> ModelFacts:
    """What the events of a run come from; `finders` found what `chosen` judged."""
    version = load_backend(backend).probe().version
    return ModelFacts(
        digest=chosen.digest,
        what=what_it_is(chosen),
        backend=f"{backend} {version}".strip(),
        settings=app.table,
        finder_digest=" ".join(each.digest for each in finders),
        finder=", ".join(what_it_is(each) for each in finders),
    )


def what_it_is(chosen: RunModel) -> str:
    """For people."""
    return f"{chosen.kind} ({chosen.precision})"


def class_ids(classes: Sequence[str], chosen: RunModel) -> tuple[int, ...]:
    """The numbers of classes by their names. Raises UnknownName."""
    labels = chosen.spec.labels
    for name in classes:
        if name not in labels:
            raise UnknownName(f"class of {chosen.where}", name, labels)
    return tuple(labels.index(name) for name in classes)
