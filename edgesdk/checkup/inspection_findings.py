"""Findings about a model that inspects parts: does it catch bad ones, and what is promised."""

from __future__ import annotations

from collections.abc import Iterator

from edgesdk.accuracy.false_rejects import fewest_for, rate_interval
from edgesdk.accuracy.ranking_quality import NAME as AUROC
from edgesdk.bundle import Accuracy, Manifest, ThresholdFit
from edgesdk.checkup.finding import Finding, Severity, counted

BLIND, POOR = 0.6, 0.8
"""AUROC: chance gives .5, and from .8 on a threshold can be of use."""
FEW = 20
"""Pictures, below which an AUROC near .5 may be bad luck."""
MOST_PASS, SOME_PASS = 0.5, 0.9
"""Share of bad parts that are caught: a problem where it is surely below the first."""
BETTER_MODEL = (
    "learn from more good pictures of the line itself, at a larger --size or from earlier --layers"
    " of the backbone where defects are small; with labelled defects, train a classifier or a"
    " segmentation net instead"
)
ANOMALY_TASKS = frozenset(("anomaly", "masks"))
"""Types of decoder whose threshold is set from good parts."""


def inspection_findings(manifest: Manifest) -> Iterator[Finding]:
    """All of them; none for other models."""
    decoder = manifest.spec.decoder if manifest.spec else {}
    if decoder.get("type") not in ANOMALY_TASKS or manifest.accuracy is None:
        return
    yield from _ranking(manifest.accuracy)
    found = manifest.accuracy.threshold
    if found is not None:
        yield from _caught(found)
        yield from _promise(found)
    elif decoder.get("false_rejects"):
        yield Finding(
            "threshold-of-float",
            "warning",
            "the threshold is still the float model's",
            "The precision moves scores, so the share of good parts that it turns down is unknown.",
            "build with 10 or more good pictures (--data) that the model has not learned",
        )


def _ranking(accuracy: Accuracy) -> Iterator[Finding]:
    area = next((m.bundle for m in accuracy.metrics if m.name == AUROC), None)
    if area is None or area >= POOR:
        return
    blind = area <= BLIND and accuracy.pictures >= FEW
    severity: Severity = "problem" if blind else "warning"
    yield Finding(
        "tells-nothing" if blind else "tells-little",
        severity,
        f"AUROC {area:.2f} on {accuracy.pictures} pictures: a bad part scores higher than a good"
        f" one {area * 100:.0f} times of 100, where chance gives 50; expected {POOR} or more",
        "No threshold makes this model useful." if blind else "Any threshold lets many pass.",
        BETTER_MODEL,
    )


def _caught(found: ThresholdFit) -> Iterator[Finding]:
    if not found.bad or found.caught is None:
        yield Finding(
            "catching-unknown",
            "warning",
            "no bad part was among the pictures",
            "Whether this bundle catches any is not known: it was only made to let good ones pass.",
            "build with --eval FOLDER, with good/ and a folder for each kind of defect",
        )
        return
    share = found.caught / found.bad
    if share >= SOME_PASS:
        return
    low, high = rate_interval(found.caught, found.bad)
    surely = high < MOST_PASS
    yield Finding(
        "catches-nothing" if found.caught == 0 else "catches-little",
        "problem" if surely else "warning",
        f"{found.caught} of {counted(found.bad, 'bad part')} are turned down, {share:.0%} (95 %:"
        f" {low:.0%} to {high:.0%}), at a threshold of {found.value:.4g}; expected"
        f" {SOME_PASS:.0%} or more",
        "Most bad parts pass." if share < MOST_PASS else "Some bad parts pass.",
        f"allow more good parts to be turned down than {found.false_rejects:.2%} (false_rejects in"
        f" the spec), or {BETTER_MODEL}",
    )


def _promise(found: ThresholdFit) -> Iterator[Finding]:
    if found.rate <= found.false_rejects:
        return
    yield Finding(
        "threshold-unsure",
        "warning",
        f"{found.rate:.2%} of good parts are to be expected above the threshold (up to"
        f" {found.rate_high:.2%} at 95 %); {found.false_rejects:.2%} was asked for",
        f"{counted(found.pictures, 'good picture')} that were not learned are too few to promise"
        " that.",
        f"give {fewest_for(found.false_rejects)} or more of them, or allow a larger share"
        " (false_rejects in the spec)",
    )
