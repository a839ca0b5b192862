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
COMPRESSED_SHARE = 0.6
"""Of the same. Rounding adds to it; only a loss of large values takes from it."""
RUINED = 0.5
LARGE_DROP, LARGE_DROP_BY_CHANCE = 0.02, 0.05
"""Of a task's figure, as a share of the float model's: with an interval, and without one."""


@dataclass(frozen=True)
class Spread:
    """How far the values of an output group spread, in the float model and in what was built."""

    float_std: float | None
    built_std: float | None
    flat: bool

    @property
    def share(self) -> float | None:
        """Of the float model's spread that is left; None where it is not known."""
        if not self.float_std or self.built_std is None:
            return None
        return self.built_std / self.float_std


def spread_of(output: OutputAccuracy) -> Spread:
    """What the manifest has of it."""
    known = plain(output)
    return Spread(known.get("float_std"), known.get("built_std"), bool(known.get("flat")))


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
        finding = _flat(name, output) or _compressed(name, output) or _poor(name, output, accuracy)
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
    if spread.flat:
        told = "it is the same for every picture"
    elif spread.share is not None and spread.share < FLAT_SHARE:
        told = f"its standard deviation fell from {spread.float_std:.3g} to {spread.built_std:.3g}"
    if not told and output.sqnr_db is not None and output.sqnr_db < SILENT_DB:
        told = f"{output.sqnr_db:.1f} dB of signal to noise are left"
    if not told:
        return None
    return Finding(
        "output-flat",
        "problem",
        f"the output group {name} says nothing any more: {told}",
        "Its scale is too coarse for its values, or a layer before it was ruined.",
        "find the layer with the largest error (--html) and leave it in float; where several "
        "outputs are joined before they are rounded, keep the join in float",
        (name,),
    )


def _compressed(name: str, output: OutputAccuracy) -> Finding | None:
    spread = spread_of(output)
    if spread.share is None or spread.share >= COMPRESSED_SHARE:
        return None
    return Finding(
        "scores-compressed",
        "warning",
        f"the values of {name} spread over {spread.share:.0%} of what they did: standard "
        f"deviation {spread.built_std:.3g}, in float {spread.float_std:.3g}",
        "For scores: what a threshold let through before, it now drops. The logits before the "
        "sigmoid have too few INT8 levels where they matter.",
        "leave the last convolution before this output in float; do not lower the threshold "
        "instead, since ranks have suffered too",
        (name,),
    )


def _poor(name: str, output: OutputAccuracy, accuracy: Accuracy) -> Finding | None:
    if output.sqnr_db is None or output.sqnr_db >= POOR_DB:
        return None
    return Finding(
        "output-noisy",
        "info" if accuracy.metrics else "warning",
        f"the output group {name} keeps only {output.sqnr_db:.1f} dB of signal to noise",
        "A quarter or more of its energy is noise. The task's figure tells whether that matters.",
        "look at the task's figure, and at the layers with the largest errors"
        if accuracy.metrics
        else "measure with labels (--eval)",
        (name,),
    )


def _drops(accuracy: Accuracy) -> Iterator[Finding]:
    for metric in accuracy.metrics:
        # Agreement counts each changed box, so it is for where there is nothing better.
        beside_labels = metric.name == "agreement" and len(accuracy.metrics) > 1
        if metric.float_model <= 0 or beside_labels:
            continue
        share = (metric.float_model - metric.bundle) / metric.float_model
        known = plain(metric)
        low, high = known.get("drop_low"), known.get("drop_high")
        sure = low is not None and high is not None
        if share <= (LARGE_DROP if sure else LARGE_DROP_BY_CHANCE) or (sure and low <= 0):
            continue  # small, or its interval holds "no drop at all"
        ruined, inspects = share > RUINED, metric.name == "agreement" and accuracy.threshold
        severity: Severity = "problem" if ruined else "info" if inspects else "warning"
        interval = f" (drop {low:.3f} to {high:.3f} at 95 %)" if sure else ""
        yield Finding(
            "accuracy-drop",
            severity,
            f"{metric.name} fell from {metric.float_model:.3f} to {metric.bundle:.3f}{interval}, "
            f"by {share:.1%} of it, on {accuracy.pictures} pictures",
            *_judged(sure, severity),
        )


def _judged(sure: bool, severity: Severity) -> tuple[str, str]:
    """What a drop means, and what to do."""
    if severity == "info":
        return (
            "It is of the scores of good parts, which lie close together, so that little is a "
            "large share of it. By how much scores moved, the evidence says beside the threshold.",
            "measure with good and bad parts: --eval FOLDER",
        )
    return (
        "The precision costs more than chance explains."
        if sure
        else "With so few pictures a part of it may be chance.",
        "build with --max-drop, which gives layers back to float until the target holds",
    )
