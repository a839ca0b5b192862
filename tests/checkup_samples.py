"""Manifests to examine: a sound one, which single tests then spoil."""

from __future__ import annotations

from dataclasses import replace

from edgesdk.bundle import (
    Accuracy,
    Calibration,
    InputChannel,
    LayerPrecision,
    Manifest,
    Origin,
    OutputAccuracy,
    PreprocessCheck,
    PreprocessTrial,
    Range,
    RangeEvidence,
    Target,
    TaskMetric,
    Variety,
)
from edgesdk.preprocess import Preprocess
from edgesdk.spec import ModelSpec

EVIDENCE = RangeEvidence(
    channels=16,
    dead=0,
    channel_min=0.5,
    channel_median=2.0,
    channel_max=4.0,
    peak_picture="street.jpg",
    peak_ratio=1.05,
    half_share=0.97,
)
GIVEN = PreprocessTrial("none", "as the spec says", 32, 0.3, 1.0, 0.0)
SWAPPED = PreprocessTrial("color", "colours swapped to bgr", 32, 0.27, 0.9, -2.0)
ZERO_ONE = PreprocessTrial("range", "pixel values 0..1 (scale 1/255)", 8, 0.0, 0.0, -9.0)
STRETCHED = PreprocessTrial("resize", "resized by stretch", 32, 0.3, 1.01, 0.3)
CALIBRATION = Calibration(
    recipe="balanced",
    observer="mse",
    source="pictures",
    pictures=128,
    ranges={name: Range(3.9, 4.0, 0.0001, EVIDENCE) for name in ("images", "r1", "r2", "r3")},
    inputs={"images": (InputChannel(0.0, 255.0, 116.0, 62.0),) * 3},
    variety=Variety(128, 128, 80.0),
    preprocessing=PreprocessCheck("score", (GIVEN, SWAPPED, ZERO_ONE, STRETCHED)),
    fingerprint="f" * 64,
)
SOUND = Manifest(
    name="net",
    sdk_version="0.1.0",
    created="2026-01-05T10:20:30+00:00",
    precision="int8",
    origin=Origin("net.onnx", "a" * 64, 17),
    target=Target("agx-orin-64gb", "6.2", "10.3", 19),
    spec=ModelSpec(Preprocess(32, 32), {"type": "yolox"}, ("car", "bus")),
    layers=tuple(
        LayerPrecision(f"conv{i}", "Conv", "int8", 1000, 30.0 - i, accumulated_db=25.0 - 2 * i)
        for i in range(4)
    ),
    calibration=CALIBRATION,
    accuracy=Accuracy(
        "val",
        64,
        held_out=True,
        outputs={"boxes": OutputAccuracy(15.0, 0.98), "scores": OutputAccuracy(13.0, 0.97)},
        metrics=(TaskMetric("mAP50-95", 0.35, 0.348),),
    ),
)


def calibrated(**changes: object) -> Manifest:
    """The sound manifest with another calibration."""
    return replace(SOUND, calibration=replace(CALIBRATION, **changes))  # type: ignore[arg-type]


def ranged(**changes: object) -> Manifest:
    """The sound manifest with one other range, that of r2."""
    spoiled = replace(CALIBRATION.ranges["r2"], **changes)  # type: ignore[arg-type]
    return calibrated(ranges={**CALIBRATION.ranges, "r2": spoiled})
