"""What a run needs besides a detector's run where the model inspects parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from edgesdk.errors import ModelError, UsageError
from edgesdk.pipeline import InspectParts
from edgesdk.signals import Trigger, open_trigger
from edgesdk.tensors import PictureRunner, Runner
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.inspector import Good, Inspector, ReadsParts

if TYPE_CHECKING:  # it imports this module
    from edgesdk.apps.run import RunModel

GOOD = ("good", "ok", "pass")
"""What a classifier's class of parts that pass may be called."""
PASSAGE = "passage"
"""Instead of a trigger's URI: a part is due when it passes the station."""
EVEN = 0.5
"""Threshold for a classifier that states none: rejected when that is likelier than not."""


def inspection_of(chosen: RunModel) -> InspectParts | None:
    """The stage that this model is run in, still without the model; None: it is a detector.

    Raises ModelError for a classifier that has no class of good parts.
    """
    table = chosen.spec.decoder
    if not table:
        return None
    task = make_decoder(table, chosen.where, chosen.spec.preprocess).task
    if task == "detect":
        return None
    if task == "classify":
        _good_class(chosen)
    threshold = table.get("threshold", EVEN if task == "classify" else None)
    return InspectParts(threshold)


def make_inspector(
    chosen: RunModel, runner: Runner, batch: int, pictures: PictureRunner | None = None
) -> Inspector:
    """The model that judges pictures of parts. Raises ModelError when it cannot."""
    decoder = make_decoder(chosen.spec.decoder, chosen.where, chosen.spec.preprocess)
    if len(chosen.model.inputs) != 1:
        names = ", ".join(spec.name for spec in chosen.model.inputs)
        raise ModelError(f"{chosen.where}: an inspection model has one input, found {names}")
    if decoder.task == "detect":
        raise ModelError(f"{chosen.where}: a detector inspects no pictures of parts")
    reads: ReadsParts
    if decoder.task == "classify":  # noqa: SIM108 - mypy follows the task only so
        reads = Good(decoder, _good_class(chosen))
    else:
        reads = decoder
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
