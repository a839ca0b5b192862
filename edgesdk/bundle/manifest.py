"""The content of manifest.json. docs/reference/bundle.md states the format whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edgesdk.bundle.evidence import (
    InputChannel,
    PreprocessCheck,
    RangeEvidence,
    Recovery,
    ScaleGroup,
    ThresholdFit,
    Variety,
)
from edgesdk.spec import ModelSpec

FORMAT = 2
"""Raised when a reader of an older version would misunderstand or refuse the bundle."""
READABLE = (1, 2)
"""2 has keys that 1 had not, all with a meaning where they are absent."""

Precision = Literal["int8", "fp16", "fp32"]


@dataclass(frozen=True)
class Origin:
    """The float model that the bundle was built from."""

    name: str
    digest: str
    """SHA-256 of the ONNX file that was given."""
    opset: int


@dataclass(frozen=True)
class Target:
    """What the graph was written for."""

    device: str
    """A device profile's name, e.g. "agx-orin-64gb"."""
    jetpack: str
    tensorrt: str
    opset: int


@dataclass(frozen=True)
class LayerPrecision:
    """One operator that can run in INT8, and what it was given."""

    node: str
    operator: str
    precision: Precision
    macs: int
    """Multiply-accumulates for one picture."""
    sqnr_db: float | None = None
    """Signal to noise of its output when this layer alone runs in INT8; None: not measured."""
    reason: str = ""
    """Why it is not INT8."""
    accumulated_db: float | None = None
    """Signal to noise of its output with all before it in INT8 too; None: not measured."""


@dataclass(frozen=True)
class Range:
    """The range of one INT8 tensor."""

    amax: float
    """The magnitude that INT8 127 stands for; scale = amax / 127."""
    largest: float
    """The largest magnitude seen in calibration."""
    saturated: float
    """Share of the values beyond amax, 0..1."""
    evidence: RangeEvidence | None = None
    """How it came about; None in a bundle of an older build."""


@dataclass(frozen=True)
class ImplicitRange:
    """The range of a tensor that the bundle has in float behind an INT8 layer.

    INT8 without Q/DQ, as DLA has it on JetPack 5 and 6, rounds it too, or runs the layer in FP16.
    """

    amax: float
    """The magnitude that INT8 127 stands for; that of a tensor that was always zero is 0."""
    largest: float
    """The largest magnitude seen in calibration."""
    saturated: float
    """Share of the values beyond amax, 0..1."""
    reason: str = ""
    """Why it must not be rounded; empty: it may."""


@dataclass(frozen=True)
class Calibration:
    """What calibration saw."""

    recipe: str
    observer: str
    source: str
    pictures: int
    skipped: dict[str, str] = field(default_factory=dict)
    """Picture -> why it could not be read."""
    ranges: dict[str, Range] = field(default_factory=dict)
    """By tensor name."""
    balanced: dict[str, str] = field(default_factory=dict)
    """Tensor whose channels were brought to like magnitudes -> node that carries the factors."""
    groups: tuple[ScaleGroup, ...] = ()
    """Tensors that INT8 moves between, with one scale or with the reason why not."""
    inputs: dict[str, tuple[InputChannel, ...]] = field(default_factory=dict)
    """By input: its channels after preprocessing."""
    variety: Variety | None = None
    preprocessing: PreprocessCheck | None = None
    """What the float model says to the preprocessing; None: it was not asked."""
    thumbnails: dict[str, str] = field(default_factory=dict)
    """Picture -> small JPEG in base64, of at most a few pictures that set ranges by themselves."""
    fingerprint: str = ""
    """SHA-256 over model, watched tensors and feeds: what calibration is cached under."""
    implicit_ranges: dict[str, ImplicitRange] = field(default_factory=dict)
    """Tensor of the bundle's graph without a pair -> its range. The rules for DLA fill it; empty,
    it is not written."""


@dataclass(frozen=True)
class OutputAccuracy:
    """One output of the bundle's graph against the same output of the float model."""

    sqnr_db: float | None
    """10 log10(signal energy / error energy) over all pictures; None: no error at all."""
    cosine: float
    float_std: float | None = None
    """Standard deviation of the float model's values over positions and pictures."""
    built_std: float | None = None
    """The same of the bundle's; far smaller than `float_std` where the output was flattened."""
    flat: bool = False
    """True: the bundle gives one and the same answer always, and the float model does not."""


@dataclass(frozen=True)
class OutputCheck:
    """One output as the engine that measured computes it, and as onnx.reference does.

    All are 10 log10(signal energy / energy of the difference); None: no difference at all.
    """

    engine_db: float | None
    """The engine's answer against the float model."""
    reference_db: float | None
    """onnx.reference's answer against the float model."""
    apart_db: float | None
    """The engine's answer against onnx.reference's."""


@dataclass(frozen=True)
class TaskMetric:
    """A figure of the task, for the float model and for the bundle."""

    name: str
    """E.g. "mAP50-95" or "top-1"; "agreement" is that of the bundle with the float model."""
    float_model: float
    bundle: float
    drop_low: float | None = None
    """Interval of float_model - bundle, by resampling the pictures; None: not computed."""
    drop_high: float | None = None
    float_interval: tuple[float, float] | None = None
    """Of `float_model` alone."""
    bundle_interval: tuple[float, float] | None = None
    """Of `bundle` alone."""
    level: float | None = None
    """Of the intervals: so often, 0..1, the true figure lies inside."""
    draws: int = 0
    """Resamplings behind the intervals."""

    @property
    def drop(self) -> float:
        """What the precision costs; negative where the bundle is better."""
        return self.float_model - self.bundle

    @property
    def relative_drop(self) -> float:
        """The drop as a share of the float model's figure; 0 where that is 0."""
        return self.drop / self.float_model if self.float_model else 0.0

    def can_tell(self, share: float) -> bool:
        """Whether the pictures suffice to tell a drop of `share` of the figure from none.

        They do when the interval reaches no further than that to either side of the drop.
        """
        if self.drop_low is None or self.drop_high is None:
            return False
        reach = max(self.drop_high - self.drop, self.drop - self.drop_low)
        return reach <= share * self.float_model


@dataclass(frozen=True)
class Accuracy:
    """What the precision costs: measured, on the CPU, with graph optimizations off."""

    source: str
    pictures: int
    held_out: bool
    """False: these are the calibration pictures, so the figures are flattering."""
    outputs: dict[str, OutputAccuracy] = field(default_factory=dict)
    """By output group: an output's name, or name[boxes] and the like where the decoder knows."""
    metrics: tuple[TaskMetric, ...] = ()
    note: str = ""
    """Why there are no task metrics, where there are none."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Picture -> why it could not be read."""
    checks: dict[str, OutputCheck] = field(default_factory=dict)
    """By output group, on one or two of the pictures. Empty: not checked, see `check_note`."""
    check_note: str = ""
    """Why the graph was not checked against onnx.reference, where it was not."""
    warnings: tuple[str, ...] = ()
    """What makes the figures doubtful, in sentences."""
    threshold: ThresholdFit | None = None
    """Of an inspection model; None, it is not written."""


@dataclass(frozen=True)
class InputRange:
    """Shapes that an input of varying size may have."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    """The usual one: an engine is tuned for it."""
    max: tuple[int, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything that is known of a bundle, except the graph itself."""

    name: str
    sdk_version: str
    created: str
    """UTC, ISO 8601."""
    precision: Precision
    origin: Origin
    target: Target
    spec: ModelSpec | None
    """None where nothing was said of preprocessing: the bundle then runs on tensors only."""
    layers: tuple[LayerPrecision, ...] = ()
    other_nodes: Precision = "fp32"
    """What all operators that do not stand in `layers` compute in."""
    islands: dict[str, str] = field(default_factory=dict)
    """Operators of a FP16 graph that stay in float32 -> why."""
    shapes: dict[str, InputRange] = field(default_factory=dict)
    """By input, for those of varying size only; `edgesdk build` fixes all sizes and leaves none."""
    calibration: Calibration | None = None
    accuracy: Accuracy | None = None
    recovery: Recovery | None = None
    """The way to the accuracy target, where one was given."""
    warnings: tuple[str, ...] = ()
    """What a user of the bundle should know, in sentences."""
    format: int = FORMAT

    @property
    def device(self) -> str:
        """The device profile's name."""
        return self.target.device

    @property
    def int8_share(self) -> float:
        """Share of the multiply-accumulates that run in INT8, 0..1."""
        total = sum(layer.macs for layer in self.layers)
        inside = sum(layer.macs for layer in self.layers if layer.precision == "int8")
        return inside / total if total else 0.0
