"""Measures a bundle on this machine: the glue between a bundle, a backend and the report."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgesdk._version import __version__
from edgesdk.backends import Backend, Session, load_backend_for
from edgesdk.backends.base import ShowProgress, no_progress
from edgesdk.backends.pictures import Pictures, pictures_of
from edgesdk.backends.timing import LayerFacts, Timed
from edgesdk.bundle import Bundle, open_bundle
from edgesdk.errors import DataError
from edgesdk.geometry import Placement
from edgesdk.pictures import open_pictures
from edgesdk.report import (
    ActivityMeter,
    EngineReport,
    Finding,
    LatencyReport,
    MeasureSettings,
    Provenance,
    Software,
    Subject,
    make_engine_report,
    make_report,
    measure,
    read_machine,
)
from edgesdk.report.measure import Stages
from edgesdk.sim import simulated_pictures
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array, Floats, PictureRunner, TensorSpec
from edgesdk.vision.decoders import make_decoder

MAX_PICTURES = 32
"""Decoded beforehand and kept, so that neither disk nor video decoder is in the latency."""
NOISE_COUNT, NOISE_WIDTH, NOISE_HEIGHT = 4, 1280, 720
NOISE_SEED = 0
TIMED_RUNS = 400
"""As many as p99 needs, and some more."""
PROFILED_RUNS = 50

Image: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class BenchRequest:
    """What to measure and how."""

    bundle: Path
    backend: str = "onnxruntime"
    source: str = ""
    """Folder, tar, npz, video or sim://..., its first 32 pictures in turn; empty: noise."""
    threads: int = 0
    """Of the backend; 0: its own choice."""
    settings: MeasureSettings = field(default_factory=MeasureSettings)
    command: str = ""
    """As typed, for the report."""
    compiling: ShowProgress = no_progress
    """Told how far it is when an engine has to be built first."""


@dataclass(frozen=True)
class Material:
    """What goes into the first stage, and what the report says of it."""

    inputs: Sequence[Any]
    words: str
    notes: tuple[Finding, ...] = ()


def bench(
    request: BenchRequest,
    progress: Callable[[int], None] | None = None,
    root: Path = Path("/"),
) -> LatencyReport:
    """Open the bundle (all digests checked), measure it and judge the measurement.

    `root` is where the machine is read from. Raises BundleError, BackendError or DataError.
    """
    bundle = open_bundle(request.bundle)
    backend = load_backend_for(bundle, request.backend, request.threads, request.compiling)
    model = bundle.model()
    # Apps feed one picture at a time; of a fixed batch only the inference can be measured.
    spec = bundle.manifest.spec if model.inputs[0].shape[0] == 1 else None
    compiled = backend.compile(model)
    facts, known = compiled.layers, compiled.warnings
    with (
        closing(backend.open(compiled)) as session,
        closing(pictures_of(session, spec.preprocess) if spec else Pictures()) as pictures,
    ):
        del compiled  # its bytes are in the session now, and a board has one memory
        stages = stages_of(spec, session, str(request.bundle), pictures.runner)
        material = material_of(spec, session, request.source)
        meter = ActivityMeter(root)
        samples = measure(stages, material.inputs, request.settings, progress=progress)
        activity, machine = meter.read(), read_machine(root)
        # After the measurement: a profiler slows down what it watches.
        feeds = feeds_of(spec, session, material.inputs)
        engine = engine_of(session, feeds, facts)
    provenance = Provenance(
        date_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=request.command,
        processor="GPU" if backend.name == "tensorrt" else "CPU",
        subject=_subject(bundle, model.digest, material.words),
        software=_software(backend, request.threads),
        machine=machine,
        activity=activity,
    )
    notes = (*material.notes, *engine_notes(known), *picture_notes(pictures.warnings))
    return make_report(samples, request.settings, provenance, notes, engine)


def engine_notes(warnings: Sequence[str]) -> tuple[Finding, ...]:
    """What the backend says of the engine, as notes of the report."""
    means = "The figures are those of this engine as it is."
    do = "edgesdk compile BUNDLE --list shows it; edgesdk compile BUNDLE makes one for this machine"
    return tuple(Finding("engine", "note", text, means, do) for text in warnings)


def picture_notes(warnings: Sequence[str]) -> tuple[Finding, ...]:
    """Why pictures were not preprocessed on the GPU, as notes of the report."""
    means = "The stage preprocess is the processor's; on the GPU it is a part of the inference."
    do = "mend what is named, and measure again; the engine need not be compiled again"
    return tuple(Finding("cpu-preprocess", "note", text, means, do) for text in warnings)


def feeds_of(
    spec: ModelSpec | None, session: Session, inputs: Sequence[Any]
) -> list[dict[str, Array]]:
    """What the session runs on for each of the material's inputs."""
    if spec is None:
        return list(inputs)
    name = session.inputs[0].name
    return [{name: spec.preprocess(image)[0]} for image in inputs]


def engine_of(
    session: Session, feeds: Sequence[dict[str, Array]], facts: Sequence[LayerFacts] = ()
) -> EngineReport | None:
    """Phases and layers of a session that can time them; None for any other."""
    if not isinstance(session, Timed):
        return None
    runs = [session.timed(feeds[i % len(feeds)])[1] for i in range(TIMED_RUNS)]
    graph = session.uses_graph  # before the profiler, which runs without
    layers = session.profiled(feeds[0], PROFILED_RUNS)
    return make_engine_report(
        runs,
        layers,
        facts,
        PROFILED_RUNS,
        cuda_graph=graph,
        zero_copy=session.zero_copy,
    )


def stages_of(
    spec: ModelSpec | None, session: Session, where: str, pictures: PictureRunner | None = None
) -> Stages:
    """The stages that this model has: without a spec only inference, without a decoder two.

    `pictures` does preprocessing and inference in one stage.
    """
    if spec is None:
        return {"inference": session.run}
    name = session.inputs[0].name

    def infer(prepared: tuple[Floats, Placement]) -> tuple[dict[str, Array], Placement]:
        tensor, placement = prepared
        return session.run({name: tensor}), placement

    stages: dict[str, Callable[[Any], Any]] = {"preprocess": spec.preprocess, "inference": infer}
    if pictures is not None:
        stages = {"preprocess + inference": pictures.run_picture}
    if spec.decoder:
        decoder = make_decoder(spec.decoder, where, spec.preprocess)

        def decode(ran: tuple[dict[str, Array], Placement]) -> object:
            outputs, placement = ran
            return decoder.decode(outputs, placement)

        stages["decode"] = decode
    return stages


def material_of(spec: ModelSpec | None, session: Session, source: str) -> Material:
    """Pictures of the source; without one noise; for a model without a spec random tensors.

    Raises DataError when the source cannot be read, or the model takes no pictures.
    """
    if spec is None and source:
        raise DataError(
            "this bundle does not say how its input is made from pictures",
            "measure it without --source, or build it again with --spec",
        )
    if spec is None:
        words = ", ".join(map(str, session.inputs))
        return Material(_tensors(session.inputs), f"random tensors, {words}")
    if not source:
        words = f"synthetic noise {NOISE_WIDTH}x{NOISE_HEIGHT}"
        return Material(noise_pictures(), words, (_NOISE_NOTE,) if spec.decoder else ())
    pictures = simulated_pictures(source) if "://" in source else open_pictures(source)
    images = [picture.image for picture in islice(pictures, MAX_PICTURES)]
    shown = source if "://" in source else Path(source).name
    return Material(images, f"{len(images)} pictures of {shown}, {_sizes(images)}")


def noise_pictures() -> list[Image]:
    """Four BGR pictures of 1280x720 noise, always the same."""
    rng = np.random.default_rng(NOISE_SEED)
    shape = (NOISE_HEIGHT, NOISE_WIDTH, 3)
    return [rng.integers(0, 256, shape, np.uint8) for _ in range(NOISE_COUNT)]


_NOISE_NOTE = Finding(
    "synthetic-input",
    "note",
    "the input was synthetic noise",
    "A detector finds next to nothing in noise, so decoding has less to do than with real scenes.",
    "measure with your own pictures: --source FOLDER or VIDEO",
)


def _tensors(inputs: Sequence[TensorSpec]) -> list[dict[str, Array]]:
    rng = np.random.default_rng(NOISE_SEED)
    feeds = {
        spec.name: rng.random([int(size) for size in spec.shape]).astype(spec.dtype)
        for spec in inputs
    }
    return [feeds]


def _sizes(images: Sequence[Image]) -> str:
    sizes = sorted({f"{image.shape[1]}x{image.shape[0]}" for image in images})
    return sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, e.g. {sizes[0]}"


def _subject(bundle: Bundle, model_digest: str, words: str) -> Subject:
    manifest = bundle.manifest
    return Subject(
        name=manifest.name,
        target=manifest.device,
        precision=manifest.precision,
        bundle_digest=bundle.digest,
        model_digest=model_digest,
        input=words,
    )


def _software(backend: Backend, threads: int) -> Software:
    return Software(
        edgesdk=__version__,
        python=platform.python_version(),
        numpy=np.__version__,
        onnx=importlib.metadata.version("onnx"),
        backend=backend.name,
        backend_version=backend.probe().version,
        threads=threads,
    )
