"""How far an engine's answers may be from ONNX Runtime's, and why. The only place for it.

Answers are compared as a whole: signal to noise in dB, 20 log10(rms of the reference / rms of the
difference). A single value may differ by more; a wrong layer, scale or channel order is far below
any of these (0 to 10 dB).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """The least signal to noise, and the reason for it."""

    least_db: float
    reason: str


TOLERANCES = {
    "fp32": Tolerance(
        55,
        "from Ampere on TensorRT computes FP32 convolutions in TF32: both factors are rounded to "
        "11 bits (66 dB each), sums stay in FP32; three layers add up to 5 dB more",
    ),
    "fp16": Tolerance(
        40,
        "FP16 keeps 11 bits (66 dB) at each tensor; many of TensorRT's kernels also add up in "
        "FP16: some 20 partial sums of 288 products each rounded, about 55 dB a layer; three "
        "layers, and room",
    ),
    "int8": Tolerance(
        30,
        "values at a rounding tie may fall on either of two steps, since TensorRT multiplies "
        "scales in another order: if one value in ten moves by one step of 1/127 of the peak, and "
        "the rms is a quarter of the peak, that is 40 dB a layer; three layers, and room",
    ),
    "dla": Tolerance(
        20,
        "DLA has arithmetic of its own: its INT8 results are rescaled by integers, and NVIDIA "
        "promises no bits",
    ),
}

SCORE_OF_A_BOX = 0.4
"""Only boxes that an app would show are compared: weaker ones come and go with rounding."""
IOU_OF_A_MATCH = 0.8
"""A box moves by less than this when its numbers are right to 30 dB."""
MATCHED_PERCENT = 95.0
"""Of the boxes on both sides: a score near the threshold may fall on either side of it."""

LEAK_RUNS = 10_000
LEAK_BYTES = 64 << 20
"""On a Jetson the free memory that CUDA names is the system's, which others use as well. A leak of
the net's smallest tensor a run (12 KiB) would be 120 MiB after 10,000 runs."""

PROFILE_OVER_COMPUTE = (0.5, 5.0)
"""Sum of the profiled layers over the compute time of a run. Profiled layers do not overlap and pay
for two events each, so the sum is larger, for small nets several times; far below 1 it would be
another unit or another run's."""
