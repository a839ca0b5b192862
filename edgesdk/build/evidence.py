"""Measures what the bundle's graph answers against what the float model answers."""

from __future__ import annotations

from edgesdk.accuracy import Measured, Reference
from edgesdk.accuracy.crosscheck import CrossCheck
from edgesdk.bundle import Accuracy, OutputAccuracy
from edgesdk.errors import ModelError

HOPELESS = 0.02
"""A float model that is right so seldom is fed or read wrongly."""
FADED = 0.25
"""An output that keeps less than this share of its variation is worth a warning."""


def evidence(
    reference: Reference, measured: Measured, held_out: bool, check: CrossCheck
) -> Accuracy:
    """What the bundle says of its accuracy."""
    return Accuracy(
        reference.source,
        measured.pictures,
        held_out,
        measured.outputs,
        measured.metrics,
        measured.note,
        reference.skipped,
        check.by_group,
        check.note,
        tuple(_warnings(measured, check)),
    )


def refuse_flat(measured: Measured) -> None:
    """Raise ModelError for an output that lost all that it said."""
    if measured.flat:
        group = measured.flat[0]
        output = measured.outputs[group]
        raise ModelError(
            f"the output {group!r} of the built graph is the same for every picture "
            f"({_range(output)}): nothing can be read from it",
            "its range is shared with something much larger: leave the layers that join them, "
            "or the whole head, in float",
        )


def _range(output: OutputAccuracy) -> str:
    return f"the float model's varies by {output.float_std:.3g}, its own by {output.built_std:.3g}"


def _warnings(measured: Measured, check: CrossCheck) -> list[str]:
    found = [
        f"the output {name!r} varies by {output.built_std:.3g} only, the float model's by "
        f"{output.float_std:.3g}: quantization flattens it"
        for name, output in measured.outputs.items()
        if output.built_std is not None
        and output.float_std is not None
        and output.built_std < FADED * output.float_std
    ]
    first = measured.metrics[0] if measured.metrics else None
    if first and first.name != "agreement" and first.float_model < HOPELESS:
        found.append(
            f"the float model's own {first.name} on the labelled pictures is "
            f"{first.float_model:.3f}: check preprocessing, decoder and labels before anything else"
        )
    for name in check.doubtful:
        one = check.by_group[name]
        found.append(
            f"ONNX Runtime and onnx.reference disagree on {name!r}: {_db(one.engine_db)} against "
            f"{_db(one.reference_db)} from the float model; do not trust these figures"
        )
    return found


def _db(value: float | None) -> str:
    return "no error" if value is None else f"{value:.1f} dB"
