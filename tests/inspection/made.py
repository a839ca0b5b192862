"""Parts and verdicts made up for tests."""

from __future__ import annotations

import time

import numpy as np

from edgesdk.frames import Frame
from edgesdk.inspection import Outcome, Verdict
from edgesdk.pipeline import Packet
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.parts import Part, View

RNG = np.random.default_rng(11)
IMAGE = np.zeros((48, 64, 3), np.uint8)


def verdict(part: int, score: float = 0.25, outcome: Outcome = "pass", frame: int = 0) -> Verdict:
    return Verdict(
        frame=frame or part,
        time_ms=40.0 * part,
        part=part,
        outcome=outcome,
        reason="score",
        score=score,
        threshold=0.5,
        triggered_ns=1_000_000_000 + part,
        latency_ms=12.5,
        late=False,
        left_px=1.5,
        top_px=2.0,
        right_px=30.0,
        bottom_px=40.25,
    )


def judged(part: int, score: float = 0.25, side_px: int = 24) -> Packet:
    """A packet in which one part was judged, with a picture and a heat map of noise."""
    picture = RNG.integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    heat = RNG.random((3, 3)).astype(np.float32)
    seen = View(picture, (1.5, 2, 30, 40.25), part, 40.0 * part, Inspected(score, heat))
    outcome: Outcome = "reject" if score >= 0.5 else "pass"
    return Packet(
        Frame(IMAGE, part, part * 40_000_000, time.monotonic_ns(), "line"),
        parts=(Part(part, 1_000_000_000 + part, (seen,)),),
        events=(verdict(part, score, outcome),),
    )
