"""Puts an app, a model and a source together into a pipeline that is ready to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgesdk.apps.folder import App
from edgesdk.apps.program import Program, Scene
from edgesdk.backends import load_backend_for
from edgesdk.backends.base import ShowProgress, no_progress
from edgesdk.backends.pictures import pictures_of
from edgesdk.bundle import Bundle, open_bundle
from edgesdk.errors import ModelError, UsageError
from edgesdk.model import Model, read_model
from edgesdk.pipeline import (
    Pipeline,
    Sink,
    Source,
    VideoFile,
    blame,
    detect_stages,
    event_file,
    open_source,
)
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Runner
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.detector import Detector


@dataclass(frozen=True)
class RunRequest:
    """What to run an app on, with what, and what to write."""

    source: str = ""
    """Empty: the app's default."""
    bundle: Path | None = None
    """None: the app's own bundle, and its float model as long as none was built."""
    backend: str = "onnxruntime"
    threads: int = 0
    """Of the backend; 0: as many as there are cores."""
    events: Path | None = None
    """.csv, .jsonl or .json; None: what app.toml says."""
    video: Path | None = None
    """.mp4 or .webm; None: what app.toml says."""
    compiling: ShowProgress = no_progress
    """Told how far it is when an engine has to be built first."""


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


@dataclass(frozen=True)
class PreparedRun:
    """Everything that is open for one run."""

    pipeline: Pipeline
    source: Source
    model: RunModel
    program: Program
    events: Path | None
    video: Path | None
    warnings: tuple[str, ...] = ()
    """What should be known of the engine that runs, in sentences."""


@contextmanager
def prepare_run(app: App, request: RunRequest, sinks: Sequence[Sink] = ()) -> Iterator[PreparedRun]:
    """Open all that a run needs and close it afterwards; `sinks` are added to the app's own.

    The source is opened first, then the model; files are made with the first frame. Raises
    UsageError, DataError, BundleError, ModelError or BackendError.
    """
    source = open_source(_source_name(app, request))
    chosen = choose_model(app, request.bundle)
    events, video = _outputs(app, request, source)
    scene = Scene(chosen.spec.labels, *source.size, source.fps)
    with blame(app.name):
        program = app.program(app.settings, scene)
        app_stages = tuple(program.stages())
    files: list[Sink] = [event_file(events, program.event)] if events else []
    files += [VideoFile(video, source.fps, program.draw)] if video else []
    backend = load_backend_for(chosen.bundle, request.backend, request.threads, request.compiling)
    engine = backend.compile(chosen.model)
    known = engine.warnings
    with (
        closing(backend.open(engine)) as session,
        closing(pictures_of(session, chosen.spec.preprocess)) as pictures,
    ):
        del engine  # its bytes are in the session now, and a board has one memory
        detector = replace(make_detector(chosen, session), pictures=pictures.runner)
        stages = (*detect_stages(detector), *app_stages)
        pipeline = Pipeline(source, stages, [*files, *sinks])
        warnings = (*known, *pictures.warnings)
        yield PreparedRun(pipeline, source, chosen, program, events, video, warnings)


def choose_model(app: App, bundle: Path | None = None) -> RunModel:
    """The bundle that is named, or the app's own, or its float model while there is none."""
    place = bundle or app.bundle_path
    path = None if bundle or place.exists() else app.model_path()
    if path is None:
        return _of_bundle(place)
    spec = app.spec()
    if spec is None:
        raise ModelError(f"{path}: the app says nothing of its preprocessing and decoder")
    model = read_model(path)
    return RunModel(model, spec, "float model", model.digest, "fp32", str(path))


def make_detector(chosen: RunModel, runner: Runner) -> Detector:
    """The model as a detector. Raises ModelError when it is none."""
    if not chosen.spec.decoder:
        raise ModelError(
            f"{chosen.where}: its spec names no decoder, so nothing can be found with it",
            "build it with a --spec that has a [decoder] table",
        )
    decoder = make_decoder(chosen.spec.decoder, chosen.where, chosen.spec.preprocess)
    if decoder.task != "detect":
        raise ModelError(
            f"{chosen.where}: its decoder {chosen.spec.decoder['type']!r} is for {decoder.task};"
            " a run needs a detector"
        )
    if len(chosen.model.inputs) != 1:
        names = ", ".join(spec.name for spec in chosen.model.inputs)
        raise ModelError(f"{chosen.where}: a detector has one input, found {names}")
    return Detector(chosen.spec.preprocess, runner, chosen.model.inputs[0].name, decoder)


def _of_bundle(path: Path) -> RunModel:
    bundle = open_bundle(path)
    spec = bundle.manifest.spec
    if spec is None:
        raise ModelError(
            f"{path}: this bundle says nothing of preprocessing and decoder",
            "build it again with --spec",
        )
    precision = bundle.manifest.precision
    return RunModel(bundle.model(), spec, "bundle", bundle.digest, precision, str(path), bundle)


def _source_name(app: App, request: RunRequest) -> str:
    name = request.source or app.source
    if not name:
        raise UsageError(
            f"{app.name} names no source of its own", "say what to run on: --source FILE"
        )
    return name


def _outputs(app: App, request: RunRequest, source: Source) -> tuple[Path | None, Path | None]:
    events = request.events or (Path(app.sinks.events) if app.sinks.events else None)
    video = request.video or (Path(app.sinks.video) if app.sinks.video else None)
    for path in (events, video):
        if path is not None and path.resolve() == Path(source.name).resolve():
            raise UsageError(f"{path} is the source: it would be written over", "name another file")
    return events, video
