"""Puts an app, a model and a source together into a pipeline that is ready to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk.apps.choosing import (
    RunModel,
    batch_of,
    choose_model,
    make_detector,
    model_facts,
)
from edgesdk.apps.cores import share_cores
from edgesdk.apps.finding import Finders
from edgesdk.apps.folder import App
from edgesdk.apps.inspecting import (
    classification_of,
    inspection_of,
    make_classifier,
    make_inspector,
    parts_reader,
    trigger_of,
)
from edgesdk.apps.joining import AppCode, code_for, size_so_far
from edgesdk.apps.naming import named_sources, of_stream
from edgesdk.apps.program import Program, Scene, Writes, others_of
from edgesdk.backends import load_backend_for
from edgesdk.backends.base import ShowProgress, no_progress
from edgesdk.backends.pictures import pictures_of
from edgesdk.capture import Camera, Recovery
from edgesdk.errors import UsageError
from edgesdk.pipeline import (
    Flushing,
    Inference,
    Paced,
    Packet,
    Pipeline,
    Policy,
    Sink,
    Source,
    Stage,
    Stream,
    VideoFile,
    detect_stages,
    event_files,
    open_source,
)
from edgesdk.pipeline.event_files import EventsByKind
from edgesdk.pipeline.pipeline import STOP_S
from edgesdk.signals.counted import CountedTrigger
from edgesdk.sinks import SinkFacts, StreamFacts, opened_sinks
from edgesdk.sinks.places import check_no_source, check_written_once


@dataclass(frozen=True)
class RunRequest:
    """What to run an app on, with what, and what to write."""

    source: str | tuple[str, ...] = ""
    """One, or several that share the model; "gate=rtsp://..." names its stream. Empty: the app's
    default."""
    bundle: Path | None = None
    """None: the app's own bundle, and its float model as long as none was built."""
    backend: str = "onnxruntime"
    threads: int = 0
    """Of the backend for each frame; 0: the cores are shared among `parallel` frames."""
    events: Path | None = None
    """.csv, .jsonl or .json; None: what app.toml says."""
    video: Path | None = None
    """.mp4 or .webm; None: what app.toml says."""
    compiling: ShowProgress = no_progress
    """Told how far it is when an engine has to be built first."""
    policy: Policy | None = None
    """None: "newest" for live sources, "all" for others. With "newest" a file is played at its own
    rate, like a camera."""
    batch_wait_ms: float = 20.0
    """How long a model that takes several pictures at once waits for so many."""
    sinks: tuple[str, ...] = ()
    """URIs, besides those of app.toml; each serves all streams."""
    wait_s: float = Recovery.start_s
    """How long the first picture of each camera is waited for; infinity: for ever."""
    parallel: int = 0
    """Frames that a CPU works on at once (`share_cores`); 0: chosen."""
    trigger: str = ""
    """URI of what fires for each part, or "passage"; empty: what app.toml says."""


@dataclass(frozen=True)
class PreparedStream:
    """One source of a run with its own copy of the app's code."""

    name: str
    """Empty when the run has only this one."""
    source: Source
    program: Program
    events: Path | None
    """Shared by all streams."""
    video: Path | None
    sinks: tuple[Sink, ...]
    more_events: tuple[Path, ...] = ()
    """The files of the further kinds of event, beside `events`."""


@dataclass(frozen=True)
class PreparedRun:
    """Everything that is open for one run."""

    pipeline: Pipeline
    model: RunModel
    streams: tuple[PreparedStream, ...]
    sinks: tuple[Sink, ...] = ()
    """Those that URIs name; the pipeline closes them."""
    warnings: tuple[str, ...] = ()
    """What should be known of the engine that runs, in sentences."""
    finders: tuple[RunModel, ...] = ()
    """Detectors that find what the model judges."""
    trigger: CountedTrigger | None = None
    """What fires for each part; None: nothing from outside does."""


@contextmanager
def prepare_run(app: App, request: RunRequest, sinks: Sequence[Sink] = ()) -> Iterator[PreparedRun]:
    """Open all that a run needs and close it afterwards; `sinks` are added to the app's own, the
    same ones in every stream.

    The sources are opened first, then the sinks, then the model; files are made with the first
    frame. Raises UsageError, MissingExtra, DataError, BundleError, ModelError or BackendError.
    """
    wanted = sources_of(app, request)
    with (
        trigger_of(request.trigger or app.trigger, len(wanted)) as trigger,
        ExitStack() as unused,
    ):
        sources = []
        for name, text in wanted:
            source = _opened(text, request)
            sources.append((name, source))
            unused.callback(source.close)
            unused.callback(source.stop)  # A camera runs once it is opened.
        chosen = choose_model(app, request.bundle)
        for _, source in sources:
            if isinstance(source, Camera):
                source.start()  # All at once.
        chosen = replace(chosen, inspect=inspection_of(chosen), classify=classification_of(chosen))
        finders = Finders(app.folder)
        scene = Scene(chosen.spec.labels, 0, 0, 0.0, chosen.inspect, trigger, chosen.classify)
        scene = replace(scene, detector=finders)
        coded = code_for(app, sources, scene, request.wait_s)
        tables = _tables(app, request, coded)
        streams = tuple(
            _stream(app, request, name, each, tables)
            for (name, _), each in zip(sources, coded, strict=True)
        )
        if _used(chosen.inspect, streams):
            parts_reader(chosen)  # Its errors come before anything is begun.
        uris, written = _sink_uris(app, request), _written(streams)
        for path in written:
            check_no_source(path, [source.name for _, source in sources])
        check_written_once(uris, written)
        own = {sink.name for stream, _ in streams for sink in stream.sinks}
        facts = _facts(app, request, chosen, streams, finders.models)
        facts = replace(facts, trigger=trigger.gauges if trigger else None)
        with (
            opened_sinks(uris, facts, own) as opened,
            finders.opened(request.backend, request.threads, request.compiling) as known,
            _with_model(
                request, chosen, streams, (*opened.guarded, *sinks), opened.sinks
            ) as prepared,
        ):
            try:
                warnings = (*known, *prepared.warnings)
                yield replace(prepared, warnings=warnings, finders=finders.models, trigger=trigger)
            finally:
                if prepared.pipeline.began:  # It has closed its sources itself.
                    unused.pop_all()


@contextmanager
def _with_model(
    request: RunRequest,
    chosen: RunModel,
    streams: Sequence[tuple[PreparedStream, tuple[Stage, ...]]],
    sinks: Sequence[Sink],
    opened: tuple[Sink, ...],
) -> Iterator[PreparedRun]:
    batch = batch_of(chosen.model)
    shares = share_cores(request.backend, batch, request.parallel, request.threads)
    backend = load_backend_for(chosen.bundle, request.backend, shares.threads, request.compiling)
    engine = backend.compile(chosen.model)
    known = engine.warnings
    with (
        closing(backend.open(engine)) as session,
        closing(pictures_of(session, chosen.spec.preprocess)) as pictures,
    ):
        del engine  # its bytes are in the session now, and a board has one memory
        inference: Inference | None = None
        if chosen.inspect is not None and _used(chosen.inspect, streams):
            inspector = make_inspector(chosen, session, batch, pictures.runner)
            chosen.inspect.load(inspector, shares.parallel)
        elif chosen.classify is not None and _used(chosen.classify, streams):
            classifier = make_classifier(chosen, session, batch, pictures.runner)
            chosen.classify.load(classifier, batch, shares.parallel)
        else:
            detector = replace(make_detector(chosen, session), pictures=pictures.runner)
            wait_s = request.batch_wait_ms / 1e3
            inference = Inference(detector, batch, wait_s, shares.parallel)
        pipeline = Pipeline.of(
            [
                Stream(
                    stream.source,
                    (*(detect_stages(detector, inference) if inference else ()), *stages),
                    (*stream.sinks, *sinks),
                    request.policy,
                    stream.name,
                )
                for stream, stages in streams
            ],
            STOP_S + sum(sink.flush_s for sink in opened if isinstance(sink, Flushing)),
        )
        prepared = tuple(stream for stream, _ in streams)
        yield PreparedRun(pipeline, chosen, prepared, opened, (*known, *pictures.warnings))


def _used(stage: Stage | None, streams: Sequence[tuple[PreparedStream, tuple[Stage, ...]]]) -> bool:
    """The apps of all streams have put this stage among their own."""
    return stage is not None and all(stage in own for _, own in streams)


def _facts(
    app: App,
    request: RunRequest,
    chosen: RunModel,
    streams: Sequence[tuple[PreparedStream, tuple[Stage, ...]]],
    finders: Sequence[RunModel],
) -> SinkFacts:
    """What sinks are told of the run."""
    made = [stream for stream, _ in streams]
    programs = {stream.name: stream.program for stream in made}

    def draw(packet: Packet) -> NDArray[np.uint8]:
        """By the code of the packet's own stream."""
        program = programs[packet.frame.source] if len(programs) > 1 else made[0].program
        return program.draw(packet)

    return SinkFacts(
        app=app.name,
        event=made[0].program.event,
        others=others_of(made[0].program),
        draw=draw,
        streams=tuple(
            StreamFacts(each.name or each.source.name, *size_so_far(each.source), each.source)
            for each in made
        ),
        labels=chosen.spec.labels,
        columns=made[0].program.columns,
        model=partial(model_facts, app, chosen, request.backend, finders),
    )


def _sink_uris(app: App, request: RunRequest) -> tuple[str, ...]:
    return (*app.sinks.uris, *(uri for uri in request.sinks if uri not in app.sinks.uris))


def sources_of(app: App, request: RunRequest) -> tuple[tuple[str, str], ...]:
    """(name, source) of each stream; a single one needs no name."""
    asked = request.source or app.source
    texts = (asked,) if isinstance(asked, str) else asked
    if not texts or not all(texts):
        raise UsageError(
            f"{app.name} names no source of its own", "say what to run on: --source FILE"
        )
    named = named_sources(texts)
    return named if len(named) > 1 else (("", named[0][1]),)


def _opened(text: str, request: RunRequest) -> Source:
    recovery = Recovery(start_s=request.wait_s)
    source = open_source(text, recovery, "all" if request.policy == "all" else "newest")
    return Paced(source) if request.policy == "newest" and not source.live else source


def _tables(
    app: App, request: RunRequest, coded: Sequence[tuple[Source, AppCode]]
) -> EventsByKind | None:
    """The files of events, which all streams share."""
    path = request.events or (Path(app.sinks.events) if app.sinks.events else None)
    program, live = coded[0][1].program, any(source.live for source, _ in coded)
    kinds = (program.event, *others_of(program))
    return event_files(path, kinds, len(coded) > 1, live) if path else None


def _stream(
    app: App,
    request: RunRequest,
    name: str,
    coded: tuple[Source, AppCode],
    tables: EventsByKind | None,
) -> tuple[PreparedStream, tuple[Stage, ...]]:
    """A source with what is its own: the app's code with its state, and its video."""
    source, code = coded
    program = code.program
    wanted = request.video or (Path(app.sinks.video) if app.sinks.video else None)
    video = of_stream(wanted, name) if wanted else None
    files: list[Sink] = [tables] if tables else []
    files += [VideoFile(video, lambda: source.fps, program.draw)] if video else []
    files += program.sinks() if isinstance(program, Writes) else []
    events, *more = tables.paths if tables else (None,)
    return (
        PreparedStream(name, source, program, events, video, tuple(files), tuple(more)),
        code.stages,
    )


def _written(streams: Sequence[tuple[PreparedStream, tuple[Stage, ...]]]) -> list[Path]:
    return [path for each, _ in streams for path in (each.events, each.video) if path is not None]
