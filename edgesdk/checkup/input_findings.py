"""Findings about what goes in: values, colours, resizing, and the pictures themselves."""

from __future__ import annotations

from collections.abc import Iterator

from edgesdk.bundle import Calibration, PreprocessTrial
from edgesdk.checkup.finding import Finding, Severity, counted, named

CLEAR_GAIN, CLEAR_T = 1.05, 3.0
"""Another preprocessing is called better above both. With the right one, none of the four models
that this was tried on came near: see docs/guides/calibration-doctor.md."""
LEAST_PICTURES = 8
"""With fewer, a t of 3 is easily chance."""
LARGE_GAIN = 1.3
"""A model so much surer with another input is a problem, not a doubt."""
FAR, FAR_ALONE = 0.5, 1.0
"""Of the first layer's statistics, in standard deviations: where another preprocessing halves it,
and where none does, which may be the pictures' doing."""
TINY_INPUT, HUGE_INPUT = 0.02, 300.0
"""Magnitudes that none of the usual conventions has: 0..255, 0..1, -1..1, about -2.6..2.6."""
FEW_PICTURES = 32
MANY_EQUAL = 0.1
ALIKE_LEVELS, ONE_SCENE_LEVELS = 10.0, 25.0
"""Grey levels of 255 by which two pictures differ. 32 frames in a row of three fixed cameras: 1.6,
14 and 16; 64 frames over all of their videos: 14 to 19; sets from many places (COCO, ImageNet,
CIFAR-10): 81 to 86. So it tells one scene from many, not seconds from minutes."""
MANY_SKIPPED = 0.1

MEASURE = "It was measured without labels: look at it before you change anything"


def input_findings(calibration: Calibration) -> Iterator[Finding]:
    """All about preprocessing and pictures."""
    yield from _values(calibration)
    yield from _trials(calibration)
    yield from _first_layer(calibration)
    yield from _pictures(calibration)


def _values(calibration: Calibration) -> Iterator[Finding]:
    for name, channels in calibration.inputs.items():
        flat = [index for index, channel in enumerate(channels) if channel.std == 0]
        if flat:
            yield Finding(
                "input-constant",
                "problem",
                f"the input {name} is constant in {counted(len(flat), 'channel')} of "
                f"{len(channels)} on all pictures",
                "Nothing that depends on it can be calibrated or measured.",
                "look at the pictures, and at scale, mean and std in the spec",
                (name,),
            )
        largest = max((max(-c.low, c.high) for c in channels), default=0.0)
        if 0 < largest <= TINY_INPUT or largest >= HUGE_INPUT:
            size = (
                "small: divided by 255 twice" if largest <= TINY_INPUT else "large: std forgotten"
            )
            low, high = min(c.low for c in channels), max(c.high for c in channels)
            yield Finding(
                "input-values",
                "problem",
                f"the values of the input {name} lie in {low:.4g}..{high:.4g}",
                f"No usual convention has such values; they are too {size}?",
                "check scale, mean and std in the spec: value = (pixel * scale - mean) / std",
                (name,),
            )


def _trials(calibration: Calibration) -> Iterator[Finding]:
    """The best of each kind of change; with wrong values the rest cannot be judged."""
    check = calibration.preprocessing
    if check is None:
        return
    better = [t for t in check.trials[1:] if _is_better(t, check.least_score)]
    for change in ("range", "color", "resize"):
        alike = [trial for trial in better if trial.change == change]
        if alike:
            yield _trial(max(alike, key=lambda trial: trial.gain or 0), check.measure)
        if alike and change == "range":
            return


def _is_better(trial: PreprocessTrial, least_score: float) -> bool:
    if trial.pictures < LEAST_PICTURES or (trial.score or 0) < least_score:
        return False
    return (trial.gain or 0) >= CLEAR_GAIN and (trial.t or 0) >= CLEAR_T


def _trial(trial: PreprocessTrial, measure: str) -> Finding:
    gain = trial.gain or 1.0
    large = gain >= LARGE_GAIN
    severity: Severity = "problem" if large else "warning"
    means = {
        "range": "The values that the model gets are not those it was trained on.",
        "color": "The spec's colour order is not the one that the model was trained on.",
        "resize": "The model finds more in pictures that are resized otherwise. That may be how "
        "it was trained, or that things only get larger.",
    }[trial.change]
    if trial.change == "resize":
        severity = "warning" if large else "info"
    times = f"{gain:.2f} times the score" if gain < 100 else "more than 100 times the score"
    return Finding(
        f"preprocessing-{trial.change}",
        severity,
        f"the float model answers better with another preprocessing: {trial.title}, {times} on "
        f"{trial.pictures} pictures ({measure}; t = {trial.t:.1f})",
        means,
        f"compare the spec's [preprocess] with the training code. {MEASURE}",
    )


def _first_layer(calibration: Calibration) -> Iterator[Finding]:
    check = calibration.preprocessing
    own = check.trials[0].deviation if check and check.trials else None
    if check is None or own is None:
        return
    others = [t for t in check.trials[1:] if t.deviation is not None and t.deviation < own / 2]
    best = min(others, key=lambda t: t.deviation or 0) if others else None
    if own <= (FAR if best else FAR_ALONE):
        return
    hint = f"; {best.title}: {best.deviation:.2f}" if best else ""
    yield Finding(
        "preprocessing-first-layer",
        "problem" if best else "warning",
        f"the first layer's output is {own:.2f} standard deviations from what its "
        f"BatchNormalization was trained on{hint}",
        "The model was trained on other inputs than these: other values, or other scenes.",
        "compare the spec's [preprocess] with the training code, and the pictures with those "
        "of the training",
    )


def _pictures(calibration: Calibration) -> Iterator[Finding]:
    if calibration.pictures < FEW_PICTURES:
        yield Finding(
            "few-pictures",
            "warning",
            f"only {counted(calibration.pictures, 'picture')} to calibrate with",
            "Few pictures seldom show a tensor's whole range.",
            f"take at least {FEW_PICTURES}, better some hundred, as varied as the model will see",
        )
    variety = calibration.variety
    if variety and variety.pictures - variety.distinct > MANY_EQUAL * variety.pictures:
        yield Finding(
            "equal-pictures",
            "warning",
            f"of {variety.pictures} pictures only {variety.distinct} differ in content",
            "A picture given twice teaches nothing new; it only looks like more evidence.",
            "remove the copies, and add other pictures",
        )
    if variety and variety.distinct > 1 and variety.difference < ONE_SCENE_LEVELS:
        alike = variety.difference < ALIKE_LEVELS
        yield Finding(
            "uniform-pictures",
            "warning" if alike else "info",
            f"the pictures {'are nearly the same' if alike else 'look like one scene'}: two of "
            f"them differ by {variety.difference:.1f} of 255 grey levels",
            "Ranges found on one scene do not hold for another, nor for the same one at night.",
            "calibrate with pictures of all the places, hours and weathers that the model will see",
        )
    skipped = calibration.skipped
    if skipped:
        many = len(skipped) > MANY_SKIPPED * (calibration.pictures + len(skipped))
        yield Finding(
            "skipped-pictures",
            "warning" if many else "info",
            f"{counted(len(skipped), 'picture')} could not be read: {named(list(skipped))}",
            "They took no part in calibration.",
            "repair or remove them",
            pictures=tuple(skipped),
        )
