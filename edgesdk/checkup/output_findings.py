"""Findings about what comes out: groups of outputs that fell silent, and the task's figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgesdk._config import plain
from edgesdk.bundle import Accuracy, Manifest, OutputAccuracy
from edgesdk.checkup.finding import Finding, Severity

SILENT_DB = 1.0
"""Below, the error has nearly the energy of the signal: the output could be left out."""
POOR_DB = 6.0
FLAT_SHARE = 0.1
"""Of the float output's standard deviation."""
COMPRESSED_SHARE, LOWERED_SHARE = 0.5, 0.8
"""Of the float output's largest probability."""
LARGE_DROP = 0.02
"""Of a task's figure, as a share of the float model's."""


@dataclass(frozen=True)
class Spread:
    """How far the values of an output group reach, in the float model and in what was built."""

    float_std: float | None
    built_std: float | None
    float_low: float | None
    float_high: float | None
    built_high: float | None


def spread_of(output: OutputAccuracy) -> Spread:
    """What the manifest has of it; None for what it lacks."""
    known = plain(output)
    names = ("float_std", "built_std", "float_low", "float_high", "built_high")
    return Spread(*(known.get(name) for name in names))


def output_findings(manifest: Manifest) -> Iterator[Finding]:
    """All about outputs and accuracy."""
    accuracy = manifest.accuracy
    if accuracy is None:
        if manifest.precision != "fp32":
            yield Finding(
                "not-measured",
                "warning",
                "what the precision costs was not measured",
                "Nobody knows how right this bundle is.",
                "build it with --eval PICTURES, best with labels",
            )
        return
    for name, output in accuracy.outputs.items():
        finding = _flat(name, output) or _compressed(name, output) or _poor(name, output)
        if finding:
            yield finding
    yield from _drops(accuracy)
    if manifest.precision == "int8" and not accuracy.held_out:
        yield Finding(
            "not-held-out",
            "info",
            "accuracy was measured on the calibration pictures",
            "That flatters: the ranges were chosen for these pictures.",
            "name others with --eval",
        )


def _flat(name: str, output: OutputAccuracy) -> Finding | None:
    spread, told = spread_of(output), ""
    if spread.float_std and spread.built_std is not None:
        share = spread.built_std / spread.float_std
        if share < FLAT_SHARE:
            told = f"its standard deviation fell from {spread.float_std:.3g} to "
            told += f"{spread.built_std:.3g}"
    if not told and output.sqnr_db is not None and output.sqnr_db < SILENT_DB:
        told = f"{output.sqnr_db:.1f} dB of signal to noise are left"
    if not told:
        return None
    return Finding(
        "output-flat",
        "problem",
        f"the output group {name} says nothing any more: {told}",
        "Its scale is too coarse for its values, or a layer before it was ruined.",
        "look which layer's error is largest (below), and leave that in float; where several "
        "outputs are joined before they are rounded, keep the join in float",
        (name,),
    )


def _compressed(name: str, output: OutputAccuracy) -> Finding | None:
    spread = spread_of(output)
    low, high, built = spread.float_low, spread.float_high, spread.built_high
    if low is None or high is None or built is None or low < 0 or not 0 < high <= 1:
        return None  # no probabilities
    share = built / high
    if share >= LOWERED_SHARE:
        return None
    severity: Severity = "problem" if share < COMPRESSED_SHARE else "warning"
    return Finding(
        "scores-compressed",
        severity,
        f"the highest value of {name} fell from {high:.2f} to {built:.2f}",
        "These are probabilities: what a threshold let through before, it now drops. The logits "
        "before the sigmoid have too few INT8 levels where they matter.",
        "leave the last convolution before this output in float; do not lower the threshold "
        "instead, since ranks have suffered too",
        (name,),
    )


def _poor(name: str, output: OutputAccuracy) -> Finding | None:
    if output.sqnr_db is None or output.sqnr_db >= POOR_DB:
        return None
    return Finding(
        "output-noisy",
        "warning",
        f"the output group {name} keeps only {output.sqnr_db:.1f} dB of signal to noise",
        "A quarter or more of its energy is noise. The task's figure tells whether that matters.",
        "measure with labels (--eval), and see below which layers bring the noise",
        (name,),
    )


def _drops(accuracy: Accuracy) -> Iterator[Finding]:
    for metric in accuracy.metrics:
        drop = metric.float_model - metric.bundle
        if metric.float_model <= 0 or drop <= LARGE_DROP * metric.float_model:
            continue
        low = plain(metric).get("drop_low")
        if low is not None and low <= 0:
            continue  # its interval holds "no drop at all"
        share = drop / metric.float_model
        severity: Severity = "problem" if share > 0.5 else "warning"
        chance = "" if low is not None else "; with so few pictures it may be chance in part"
        yield Finding(
            "accuracy-drop",
            severity,
            f"{metric.name} fell from {metric.float_model:.3f} to {metric.bundle:.3f}, by "
            f"{share:.1%} of it, on {accuracy.pictures} pictures",
            f"INT8 costs more than {LARGE_DROP:.0%} of the float model's figure{chance}.",
            "build with --max-drop, which gives layers back to float until the target holds",
        )
