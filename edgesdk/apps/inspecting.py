"""What a run needs where the model says something of whole pictures: of parts, or of frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from edgesdk.errors import ModelError, UsageError
from edgesdk.pipeline import ClassifyPictures, InspectParts
from edgesdk.signals import Trigger, open_trigger
from edgesdk.tensors import PictureRunner, Runner
from edgesdk.vision.classification import Classification
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.inspector import Good, Inspector, Reads, Said

if TYPE_CHECKING:  # it imports this module
    from edgesdk.apps.run import RunModel

GOOD = ("good", "ok", "pass")
"""What a classifier's class of parts that pass may be called."""
PASSAGE = "passage"
"""Instead of a trigger's URI: a part is due when it passes the station."""
EVEN = 0.5
"""Threshold for a classifier that states none: rejected when that is likelier than not."""


def inspection_of(chosen: RunModel) -> InspectParts | None:
    """The stage that this model is run in, still without the model; None: it is a detector."""
    table = chosen.spec.decoder
    if not table:
        return None
    task = make_decoder(table, chosen.where, chosen.spec.preprocess).task
    if task == "detect":
        return None
    threshold = table.get("threshold", EVEN if task == "classify" else None)
    return InspectParts(threshold)


def parts_reader(chosen: RunModel) -> Reads[Inspected]:
    """How the outputs for a picture of a part are read.

    Raises ModelError for a detector, and for a classifier that has no class of good parts.
    """
    decoder = make_decoder(chosen.spec.decoder, chosen.where, chosen.spec.preprocess)
    if decoder.task == "detect":
        raise ModelError(f"{chosen.where}: a detector inspects no pictures of parts")
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
def trigger_of(uri: str, streams: int) -> Iterator[Trigger | None]:
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
        yield trigger


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
