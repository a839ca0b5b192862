"""What a build writes down so that the bundle can be examined later, without the pictures.

All of it is optional in a manifest: bundles of older builds lack it, and a build that had no
pictures has none to tell of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TINY = 1e-9
"""A figure below is no figure."""

Change = Literal["none", "range", "color", "resize"]
"""Of a trial: as the spec says, other pixel values, other colour order, other resizing."""


@dataclass(frozen=True)
class RangeEvidence:
    """How the range of one INT8 tensor came about."""

    channels: int
    dead: int
    """Channels that were zero on every picture."""
    channel_min: float
    """Smallest largest-magnitude of a channel that was not always zero; 0 when all were."""
    channel_median: float
    """Median of the same."""
    channel_max: float
    peak_picture: str = ""
    """The picture with the largest magnitude."""
    peak_ratio: float | None = None
    """Its magnitude over that of the picture next to it, >= 1; None: there was only one."""
    half_share: float | None = None
    """Expected largest magnitude with half the pictures, as a share of that with all, 0..1."""


@dataclass(frozen=True)
class ScaleGroup:
    """INT8 tensors between which values only move: through Concat, MaxPool, Reshape..."""

    tensors: tuple[str, ...]
    """As the given model names them."""
    amax: float | None
    """The range that they share; None: each has its own, and the producer of one that is read with
    two scales writes it twice."""
    loss_db: float
    """What the common range costs, or would cost, the layer that loses most; below 0: a gain."""
    reason: str = ""
    """Why they have no common range; empty: they have."""


@dataclass(frozen=True)
class InputChannel:
    """One channel of a model's input, after preprocessing, over the calibration pictures."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class Variety:
    """How much the calibration pictures differ from each other."""

    pictures: int
    distinct: int
    """Pictures of different content."""
    difference: float
    """Root mean square difference of two of them, as 16 x 16 grey pictures, in levels of 255."""


@dataclass(frozen=True)
class PreprocessTrial:
    """The float model's answers to the same pictures, prepared in one way."""

    change: Change
    title: str
    """For people, e.g. "colours swapped"."""
    pictures: int
    score: float | None = None
    """How sure and consistent the answers are, >= 0; None: they cannot be judged."""
    gain: float | None = None
    """Score over that of the spec's own preprocessing on the same pictures."""
    t: float | None = None
    """Mean difference of the pictures' scores in its standard errors; positive: better."""
    deviation: float | None = None
    """How far the first layer's output is from what its BatchNormalization was trained on, in
    its standard deviations (mean over channels); None: there is none."""


@dataclass(frozen=True)
class PreprocessCheck:
    """Whether another preprocessing would suit the model better."""

    measure: str
    """What the score is, for people."""
    trials: tuple[PreprocessTrial, ...] = ()
    """The spec's own preprocessing first."""
    note: str = ""
    """Why the answers were not judged, where they were not."""
    least_score: float = 0.0
    """Below it, the model finds too little in the pictures for a score to mean anything."""


@dataclass(frozen=True)
class ThresholdFit:
    """The score from which on a part is turned down, set anew for the graph that is shipped."""

    given: float
    """As the spec has it: the float model's."""
    value: float
    """As the bundle's spec has it."""
    false_rejects: float
    """Share of good parts, 0..1, that it may turn down."""
    pictures: int
    """Good ones that set it, none of which the model has learned."""
    rejected_given: int
    """Of these, what the bundle would turn down with the given threshold."""
    rejected: int
    """And what it turns down with its own."""
    rate: float
    """Share of all good parts to expect above it."""
    rate_low: float
    """Interval of that share, at 95 %."""
    rate_high: float
    drift: float
    """Of the scores of the good pictures: mean of bundle - float model."""
    drift_spread: float
    """Standard deviation of the same."""
    score_spread: float
    """Standard deviation of the float model's scores, to see the drift against."""
    caught_given: int | None = None
    """Bad parts among the labelled pictures that the given threshold turns down; None: none is
    labelled."""
    caught: int | None = None
    """And what the bundle's own turns down."""
    bad: int | None = None
    """How many there were."""
    note: str = ""
    """What the pictures are too few to promise."""


@dataclass(frozen=True)
class RecoveryStep:
    """One attempt to bring accuracy back.

    Attempts of the search are measured on its own pictures and have no interval; those that are
    verified, on others, have one.
    """

    action: str
    """For people, e.g. "Conv_44 in float"."""
    int8_share: float
    """Share of the multiply-accumulates in INT8 after it, 0..1."""
    value: float
    """The metric after it."""
    drop: float
    """Of the metric, against the float model on the same pictures; negative: above it."""
    low: float | None = None
    """Lower end of the drop's 95 % interval."""
    high: float | None = None
    kept: bool = True
    """Whether it stays within the target."""

    def kept_share(self, drop: float) -> float:
        """What is left of the float model's figure after this drop, as a share of it."""
        float_value = self.value + self.drop
        return 1.0 - drop / float_value if float_value > TINY else 1.0


@dataclass(frozen=True)
class Recovery:
    """The way to an accuracy target, step by step."""

    metric: str
    """E.g. "mAP50-95"."""
    max_drop: float
    """The target: the largest drop allowed, absolute."""
    reached: bool
    float_value: float
    """The metric of the float model on the verifying pictures."""
    pictures: int = 0
    """How many were searched on."""
    steps: tuple[RecoveryStep, ...] = field(default_factory=tuple)
    """In the order of the attempts; the first is the graph all in INT8, the last the verified
    one that is shipped."""
