"""What a run needs where the model says something of whole pictures: of parts, or of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from edgesdk.apps.choosing import RunModel, class_ids
from edgesdk.errors import ModelError, UsageError
from edgesdk.pipeline import ClassifyPictures, InspectParts
from edgesdk.signals import open_trigger
from edgesdk.signals.counted import CountedTrigger
from edgesdk.tensors import PictureRunner, Runner
from edgesdk.vision.classification import Classification
from edgesdk.vision.decoders import make_decoder, with_known
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.inspector import Defects, Good, Inspector, Reads, Said

GOOD = ("good", "ok", "pass")
"""What a classifier's class of parts that pass may be called."""
PASSAGE = "passage"
"""Instead of a trigger's URI: a part is due when it passes the station."""
EVEN = 0.5
"""Threshold for a classifier or a detector that states none: rejected when a defect is likelier
than not."""
SEEN = 0.05
"""A detector that judges tells defects from this score on: the judge's threshold alone decides."""


def inspection_of(chosen: RunModel) -> InspectParts | None:
    """The stage that this model judges parts in, if the app has it do so; still without the model.
    None: nobody says how to read it."""
    table = chosen.spec.decoder
    if not table:
        return None
    task = make_decoder(table, chosen.where, chosen.spec.preprocess).task
    threshold = table.get("threshold", None if task == "inspect" else EVEN)
    return InspectParts(threshold)


def parts_reader(chosen: RunModel) -> Reads[Inspected]:
    """How the outputs for a picture of a part are read.

    Raises ModelError for a classifier that has no class of good parts, and for a detector of which
    nobody says what is a defect; UnknownName for a defect that it does not know; UsageError for
    defects where the model is none.
    """
    defects = chosen.inspect.defects if chosen.inspect else ()
    table = with_known(chosen.spec.decoder, {"score_threshold": SEEN} if defects else {})
    decoder = make_decoder(table, chosen.where, chosen.spec.preprocess)
    if decoder.task == "detect":
        return Defects(decoder, _defects(chosen, defects))
    if defects:
        raise UsageError(
            f"{chosen.where}: defects are what a detector finds, and this model is for"
            f" {decoder.task}",
            "leave judge.defects out",
        )
    if decoder.task == "classify":
        return Good(decoder, _good_class(chosen))
    return decoder


def make_inspector(
    chosen: RunModel, runner: Runner, batch: int, pictures: PictureRunner | None = None
) -> Inspector[Inspected]:
    """The model that judges pictures of parts. Raises ModelError when it cannot."""
    reads = parts_reader(chosen)
    return _inspector(chosen, runner, reads, batch, pictures)


def classification_of(chosen: RunModel) -> ClassifyPictures | None:
    """The stage that a classifier is run in, still without it; None: the model is none."""
    table = chosen.spec.decoder
    if not table:
        return None
    task = make_decoder(table, chosen.where, chosen.spec.preprocess).task
    return ClassifyPictures() if task == "classify" else None


def make_classifier(
    chosen: RunModel, runner: Runner, batch: int, pictures: PictureRunner | None = None
) -> Inspector[Classification]:
    """The model that classifies whole pictures. Raises ModelError when it cannot."""
    decoder = make_decoder(chosen.spec.decoder, chosen.where, chosen.spec.preprocess)
    if decoder.task != "classify":
        raise ModelError(f"{chosen.where}: its decoder is for {decoder.task}, not for classes")
    return _inspector(chosen, runner, decoder, batch, pictures)


def _inspector(
    chosen: RunModel,
    runner: Runner,
    reads: Reads[Said],
    batch: int,
    pictures: PictureRunner | None,
) -> Inspector[Said]:
    if len(chosen.model.inputs) != 1:
        names = ", ".join(spec.name for spec in chosen.model.inputs)
        raise ModelError(f"{chosen.where}: a model of pictures has one input, found {names}")
    name = chosen.model.inputs[0].name
    return Inspector(chosen.spec.preprocess, runner, name, reads, batch, pictures)


@contextmanager
def trigger_of(uri: str, streams: int) -> Iterator[CountedTrigger | None]:
    """What fires for each part, open; None: parts are due as they pass.

    Raises UsageError for a trigger of several streams, and what `open_trigger` raises.
    """
    if uri in ("", PASSAGE):
        yield None
        return
    if streams > 1:
        raise UsageError(
            f"one trigger cannot tell the parts of {streams} streams apart",
            "run one stream, or let parts be due as they pass: --trigger passage",
        )
    with closing(open_trigger(uri)) as trigger:
        yield CountedTrigger(trigger)


def _defects(chosen: RunModel, defects: Sequence[str]) -> tuple[int, ...]:
    if not defects:
        raise ModelError(
            f"{chosen.where}: a detector judges pictures of parts by the defects that it finds on"
            " them, and nobody says which of its classes are some",
            "name them: judge.defects"
            f" (it knows {', '.join(chosen.spec.labels[:12]) or 'no classes by name'})",
        )
    return class_ids(defects, chosen)


def _good_class(chosen: RunModel) -> int:
    labels = chosen.spec.labels
    for i, label in enumerate(labels):
        if label.lower() in GOOD:
            return i
    raise ModelError(
        f"{chosen.where}: a classifier that inspects parts needs a class of good ones,"
        f" found {', '.join(labels[:12]) or 'no labels'}",
        f"call it {' or '.join(map(repr, GOOD))} in the spec's labels",
    )
