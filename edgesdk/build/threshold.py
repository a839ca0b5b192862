"""The threshold of an inspection model, set anew for the graph that is shipped.

INT8 moves scores. A threshold that turned down one good part in 200 of the float model may turn
down one in 50 of the bundle, or let bad ones pass that it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from edgesdk._progress import Progress
from edgesdk.accuracy.false_rejects import FEWEST, find_threshold
from edgesdk.accuracy.workers import run_jobs
from edgesdk.anomaly.record import learned_pictures, picture_key
from edgesdk.backends import Session, load_backend
from edgesdk.build.jury import MOST_WORKERS
from edgesdk.build.request import BuildRequest
from edgesdk.bundle import Accuracy, Manifest, ThresholdFit
from edgesdk.model import Model
from edgesdk.pictures import GOOD, Picture, PictureSet
from edgesdk.quantize.fp16 import simulate_fp16
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import InspectionDecoder, make_decoder

MOST = 2000
"""Pictures that are looked at: enough for a rate of .2 %."""


@dataclass(frozen=True)
class Seen:
    """One picture and what both models say of it."""

    bad: bool
    before: float
    """The float model's score."""
    after: float
    """The shipped graph's."""


def fit_threshold(
    request: BuildRequest,
    model: Model,
    spec: ModelSpec | None,
    built: Model,
    progress: Progress,
) -> ThresholdFit | None:
    """What the good pictures that the model has not learned say of `built`.

    None for other models, for a threshold that was set by hand, and where those pictures are too
    few.
    """
    decoder = inspection_decoder(spec)
    if spec is None or decoder is None or not decoder.limit.false_rejects:
        return None
    pictures = progress(islice(unlearned(request), MOST), "threshold", None)
    seen = list(_scores(pictures, (model, simulate_fp16(built)), spec, decoder))
    if sum(not one.bad for one in seen) < FEWEST:
        return None
    return stated(decoder.limit.threshold, decoder.limit.false_rejects, seen)


def stated(given: float, false_rejects: float, seen: Sequence[Seen]) -> ThresholdFit:
    """The evidence of what was seen."""
    good = [one for one in seen if not one.bad]
    bad = [one for one in seen if one.bad]
    found = find_threshold([one.after for one in good], false_rejects)
    drift = np.array([one.after - one.before for one in good])
    return ThresholdFit(
        given=given,
        value=found.value,
        false_rejects=false_rejects,
        pictures=found.pictures,
        rejected_given=sum(one.after >= given for one in good),
        rejected=found.rejected,
        rate=found.rate,
        rate_low=found.rate_low,
        rate_high=found.rate_high,
        drift=float(drift.mean()),
        drift_spread=float(drift.std()),
        score_spread=float(np.std([one.before for one in good])),
        caught_given=sum(one.after >= given for one in bad) if bad else None,
        caught=sum(one.after >= found.value for one in bad) if bad else None,
        bad=len(bad) if bad else None,
        note=found.note,
    )


def with_threshold(manifest: Manifest, found: ThresholdFit | None) -> Manifest:
    """The bundle's own threshold in its spec, and how it came about in its evidence."""
    spec, accuracy = manifest.spec, manifest.accuracy
    if found is None or spec is None or accuracy is None:
        return manifest
    spec = replace(spec, decoder={**spec.decoder, "threshold": found.value})
    return replace(manifest, spec=spec, accuracy=replace(accuracy, threshold=found))


def no_threshold(spec: ModelSpec | None, accuracy: Accuracy | None) -> list[str]:
    """What to say where a threshold should have been set anew and was not."""
    decoder = inspection_decoder(spec)
    if decoder is None or not decoder.limit.false_rejects or (accuracy and accuracy.threshold):
        return []
    return [
        "the threshold is still the float model's: it takes "
        f"{FEWEST} or more good pictures that were not learned to set it for this graph"
    ]


def inspection_decoder(spec: ModelSpec | None) -> InspectionDecoder | None:
    """The decoder, where it is one of inspection."""
    if spec is None or not spec.decoder:
        return None
    decoder = make_decoder(spec.decoder, "the spec", spec.preprocess)
    return decoder if decoder.task == "inspect" else None


def unlearned(request: BuildRequest) -> Iterator[Picture]:
    """Pictures known to be good or bad that the model has not learned, each once.

    Those to calibrate with are good where they have no labels: an inspection model is calibrated
    with what the line makes.
    """
    met = set(learned_pictures(request.model))
    for data, unlabelled in ((request.data, GOOD), (request.held_out, None)):
        for picture in data if isinstance(data, PictureSet) else ():
            kind = unlabelled if picture.class_id is None else picture.class_id
            key = picture_key(picture.image)
            if kind is not None and key not in met:
                met.add(key)
                yield replace(picture, class_id=kind)


def _scores(
    pictures: Iterator[Picture],
    models: tuple[Model, Model],
    spec: ModelSpec,
    decoder: InspectionDecoder,
) -> Iterator[Seen]:
    name = models[0].inputs[0].name

    def job(picture: Picture, sessions: Sequence[Session]) -> Seen:
        tensor, placement = spec.preprocess(picture.image)
        before, after = (
            decoder.decode(session.run({name: tensor}), placement).score for session in sessions
        )
        return Seen(picture.class_id != GOOD, before, after)

    backend = load_backend("onnxruntime", threads=1, exact=True)
    yield from run_jobs(backend, models, pictures, job, min(os.cpu_count() or 1, MOST_WORKERS))
