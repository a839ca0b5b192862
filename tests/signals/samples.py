"""Verdicts, packets with them, and what an inspection app tells its sinks."""

from __future__ import annotations

import math
import time

import numpy as np

from edgesdk.frames import Frame
from edgesdk.inspection import Outcome, Reason, Verdict
from edgesdk.pipeline import Packet
from edgesdk.sinks import SinkFacts, StreamFacts


def facts(*streams: str) -> SinkFacts:
    made = tuple(StreamFacts(name, (8, 8), 20.0) for name in streams or ("belt",))
    return SinkFacts("line", Verdict, lambda p: p.frame.image.copy(), made, run_id="RUN")


def verdict(
    part: int,
    outcome: Outcome,
    triggered_ns: int | None = None,
    score: float = 0.5,
    reason: Reason = "score",
) -> Verdict:
    now_ns = time.monotonic_ns() if triggered_ns is None else triggered_ns
    box = (0.0, 0.0, 8.0, 8.0)
    return Verdict(part, part * 50.0, part, outcome, reason, score, 0.6, now_ns, 3.0, False, *box)


def unseen(part: int) -> Verdict:
    """The trigger fired and no part was seen: a reject that has no score."""
    return verdict(part, "reject", score=math.nan, reason="unseen")


def packet(*verdicts: Verdict, stream: str = "belt") -> Packet:
    now_ns = time.monotonic_ns()
    frame = Frame(np.zeros((8, 8, 3), np.uint8), 0, 0, now_ns, stream)
    return Packet(frame, events=verdicts)
