"""The bundle: everything between a desk and a board in one checked folder."""

from edgesdk.bundle.bundle import Bundle, check_place, open_bundle, write_bundle
from edgesdk.bundle.evidence import (
    InputChannel,
    PreprocessCheck,
    PreprocessTrial,
    RangeEvidence,
    Recovery,
    RecoveryStep,
    ScaleGroup,
    Variety,
)
from edgesdk.bundle.manifest import (
    Accuracy,
    Calibration,
    InputRange,
    LayerPrecision,
    Manifest,
    Origin,
    OutputAccuracy,
    OutputCheck,
    Precision,
    Range,
    Target,
    TaskMetric,
)

__all__ = [
    "Accuracy",
    "Bundle",
    "Calibration",
    "InputChannel",
    "InputRange",
    "LayerPrecision",
    "Manifest",
    "Origin",
    "OutputAccuracy",
    "OutputCheck",
    "Precision",
    "PreprocessCheck",
    "PreprocessTrial",
    "Range",
    "RangeEvidence",
    "Recovery",
    "RecoveryStep",
    "ScaleGroup",
    "Target",
    "TaskMetric",
    "Variety",
    "check_place",
    "open_bundle",
    "write_bundle",
]
