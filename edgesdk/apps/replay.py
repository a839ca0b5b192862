"""Judges the parts of an audit log again, and compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk._version import __version__
from edgesdk.apps.choosing import batch_of, choose_model, model_facts
from edgesdk.apps.cores import share_cores
from edgesdk.apps.finding import Finders
from edgesdk.apps.folder import App, app_names
from edgesdk.apps.inspecting import inspection_of, make_inspector, parts_reader
from edgesdk.apps.program import Scene
from edgesdk.apps.run import RunRequest
from edgesdk.backends import load_backend_for
from edgesdk.backends.pictures import pictures_of
from edgesdk.errors import ConfigError, UsageError
from edgesdk.frames import Frame
from edgesdk.inspection import Verdict
from edgesdk.inspection.audit import Log, Origin, Record, open_log
from edgesdk.pipeline import FindObjects, Packet, Stage
from edgesdk.vision.parts import Part, View

MOST_DIFFERENCES = 1000
"""So many of each kind are kept to be shown; all are counted."""
_NOTHING = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True)
class Difference:
    """A part that is judged otherwise than it was."""

    before: Verdict
    now: Verdict


@dataclass(frozen=True)
class Replay:
    """What came out."""

    log: Log
    parts: int
    same: int
    """Parts whose verdict is the same in every field, the score bit for bit."""
    changed_outcomes: int
    """Parts that passed and would be rejected, or the other way round."""
    differences: tuple[Difference, ...]
    """Changed outcomes first; the first `MOST_DIFFERENCES` of them and of the others."""
    notes: tuple[str, ...]
    """What is not as it was when the log was written, in sentences."""


def replay(
    app: App,
    request: RunRequest,
    place: Path,
    changes: Mapping[str, Any],
    shown: Callable[[Iterable[Record], int], Iterable[Record]] = lambda records, count: records,
) -> Replay:
    """Judge every part of the log at `place` with the app's model and code, on its own pictures.

    Settings are those of the log, then `changes`; deadlines are measured by the times of then.
    Memory holds one part and the differences. Raises DataError for a log that is none or was
    changed, UsageError for an app that judges no parts, and as `prepare_run` does.
    """
    log = open_log(place)
    app = _as_logged(app, log, place).with_settings(changes)
    with _judging(app, request, log) as (judge, now):
        notes = _notes(log, now, bool(changes))
        return _compared(log, shown(log.records(), log.count), judge, notes)


def _as_logged(app: App, log: Log, place: Path) -> App:
    """The app with the settings of the log."""
    origin = log.origin
    try:
        return app.with_settings(origin.settings)
    except ConfigError as error:
        if origin.app == app.name:
            raise ConfigError(
                f"{place}: written by {origin.app} of edgesdk {origin.edgesdk}, whose settings"
                f" this edgesdk ({__version__}) does not take: {error}",
                "read it with the edgesdk that wrote it",
            ) from error
        raise _of_another_app(app, log) from error


def _stages_of(app: App, scene: Scene, log: Log) -> list[Stage]:
    try:
        return list(app.program(app.settings, scene).stages())
    except UsageError as error:
        if log.origin.app == app.name:
            raise
        raise _of_another_app(app, log) from error


def _of_another_app(app: App, log: Log) -> UsageError:
    origin, place = log.origin, log.files[0].parent
    if origin.app == app.name:
        return UsageError(f"{app.name} judges no parts with this model", "name the log's: --bundle")
    what = origin.app if origin.app in app_names() else f"FOLDER_OF_{origin.app.upper()}"
    bundle = "--bundle BUNDLE " if origin.model.startswith("bundle") else ""
    return UsageError(
        f"{place}: this log was written by the app {origin.app}, and {app.name} cannot replay it",
        f"edgesdk run {what} {bundle}--replay {place}",
    )


def _compared(
    log: Log,
    records: Iterable[Record],
    judge: Callable[[Record], Verdict],
    notes: tuple[str, ...],
) -> Replay:
    parts = same = outcomes = 0
    turned: list[Difference] = []
    others: list[Difference] = []
    for record in records:
        parts += 1
        verdict = judge(record)
        if _equal(verdict, record.verdict):
            same += 1
            continue
        changed = verdict.outcome != record.verdict.outcome
        outcomes += changed
        kept = turned if changed else others
        if len(kept) < MOST_DIFFERENCES:
            kept.append(Difference(record.verdict, verdict))
    return Replay(log, parts, same, outcomes, (*turned, *others), notes)


@contextmanager
def _judging(
    app: App, request: RunRequest, log: Log
) -> Iterator[tuple[Callable[[Record], Verdict], Origin]]:
    """The app's own stages from the model on, with the model in them."""
    chosen = choose_model(app, request.bundle)
    clock, inspect = _Clock(), inspection_of(chosen)
    finders = Finders(app.folder)
    scene = Scene(
        chosen.spec.labels,
        *(640, 480, 25.0, inspect),
        detector=partial(_if_there, finders),
        clock_ns=clock,
    )
    stages = _stages_of(app, scene, log)
    if inspect is None or inspect not in stages:
        raise _of_another_app(app, log)
    after = stages[stages.index(inspect) :]
    chosen = replace(chosen, inspect=inspect)
    parts_reader(chosen)  # Its errors come before the log is read.
    batch = batch_of(chosen.model)
    shares = share_cores(request.backend, batch, request.parallel, request.threads)
    backend = load_backend_for(chosen.bundle, request.backend, shares.threads, request.compiling)
    with (
        closing(backend.open(backend.compile(chosen.model))) as session,
        closing(pictures_of(session, chosen.spec.preprocess)) as pictures,
    ):
        inspect.load(make_inspector(chosen, session, batch, pictures.runner))
        facts = model_facts(app, chosen, request.backend, finders.models)
        origin = Origin(
            *(app.name, "", facts.digest, facts.what, facts.backend),
            finder_digest=facts.finder_digest,
            finder=facts.finder,
        )
        yield (lambda record: _judged(record, after, clock)), origin


def _if_there(
    finders: Finders, bundle: str, classes: Sequence[str], min_score: float
) -> FindObjects:
    """What found the parts is only compared: a desk that has the log may not have its bundle."""
    if not finders.place(bundle).exists():
        return FindObjects()
    return finders(bundle, classes, min_score)


def _judged(record: Record, stages: Sequence[Stage], clock: _Clock) -> Verdict:
    was = record.verdict
    clock.now_ns = was.triggered_ns + round(was.latency_ms * 1e6)
    views = tuple(View(v.picture, v.box, v.frame, v.time_ms) for v in record.views)
    untold = was.reason == "untriggered"
    part = Part(was.part, was.triggered_ns, views, record.error, untriggered=untold)
    frame = Frame(_NOTHING, was.frame, round(was.time_ms * 1e6), was.triggered_ns)
    packet = Packet(frame, parts=(part,))
    for stage in stages:
        packet = stage(packet)
    (verdict,) = (event for event in packet.events if isinstance(event, Verdict))
    return replace(verdict, stream=was.stream)


class _Clock:
    """Shows the time that it is set to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def _equal(one: Verdict, other: Verdict) -> bool:
    """In every field; no score is the same as no score."""
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(a == b or (a != a and b != b) for a, b in pairs)  # noqa: PLR0124 - NaN


def _finder(origin: Origin) -> str:
    return f"{origin.finder} {origin.finder_digest[:12]}" if origin.finder else "no detector"


def _notes(log: Log, now: Origin, changed: bool) -> tuple[str, ...]:
    was = log.origin
    notes = []
    if not log.whole:
        notes.append("the beginning of this log was removed for want of room")
    if was.app != now.app:
        notes.append(f"the log was written by the app {was.app}, this is {now.app}")
    if was.digest != now.digest:
        notes.append(
            f"the parts were judged by {was.model} {was.digest[:12]}, this is {now.model}"
            f" {now.digest[:12]}"
        )
    if was.finder_digest != now.finder_digest:
        notes.append(
            f"the parts were found by {_finder(was)}, this app has {_finder(now)}; a replay takes"
            " the pictures of then"
        )
    if was.backend != now.backend:
        notes.append(f"the model ran in {was.backend}, now it runs in {now.backend}")
    if changed:
        notes.append("settings are changed with --set")
    return tuple(notes)
