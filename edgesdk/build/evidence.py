"""Measures what the bundle's graph answers against what the float model answers."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured, Reference
from edgesdk.accuracy.crosscheck import CrossCheck
from edgesdk.backends import Backend
from edgesdk.bundle import Accuracy, OutputAccuracy
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.pictures import PictureSet
from edgesdk.spec import ModelSpec

FADED = 0.25
"""An output that keeps less than this share of its variation is worth a warning."""


@dataclass(frozen=True)
class AccuracyMeter:
    """Compares two models on the same pictures, a few at a time."""

    float_model: Model
    built: Model
    spec: ModelSpec
    backend: Backend
    progress: Progress
    macs: int = 0
    """Of one run, to decide whether onnx.reference can check it in reasonable time."""
    workers: int = 1
    """Pictures at a time; more than 1 wants a backend of one thread."""

    def measure(self, pictures: PictureSet, held_out: bool) -> Accuracy:
        """Run both on all pictures.

        Raises ModelError when `built` gives NaN or infinity, or when an output of it always says
        the same although the float model's does not.
        """
        reference = Reference(
            self.float_model,
            self.spec,
            self.backend,
            pictures,
            progress=self.progress,
            workers=self.workers,
        )
        measured = reference.measure(self.built, progress=self.progress)
        refuse_flat(measured)
        return evidence(reference, measured, held_out, reference.cross_check(self.built, self.macs))


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
    for name in check.doubtful:
        one = check.by_group[name]
        found.append(
            f"ONNX Runtime and onnx.reference disagree on {name!r}: {_db(one.engine_db)} against "
            f"{_db(one.reference_db)} from the float model; do not trust these figures"
        )
    return found


def _db(value: float | None) -> str:
    return "no error" if value is None else f"{value:.1f} dB"
