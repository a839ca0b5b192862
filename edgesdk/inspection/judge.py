"""The stage that makes one verdict of each part."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgesdk.errors import UsageError
from edgesdk.frames import Frame
from edgesdk.inspection.settings import Fuse, JudgeSettings
from edgesdk.inspection.verdict import Outcome, Reason, Verdict
from edgesdk.pipeline import Packet
from edgesdk.vision.parts import Part

_FUSE: dict[Fuse, Callable[[list[float]], float]] = {
    "max": max,
    "median": lambda scores: float(np.median(scores)),
    "mean": lambda scores: float(np.mean(scores)),
}
_NOWHERE = (0.0, 0.0, 0.0, 0.0)


class Judge:
    """Adds a Verdict to `packet.events` for each of `packet.parts`, in their order."""

    name = "judge"

    def __init__(
        self,
        settings: JudgeSettings,
        threshold: float | None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`threshold` is the model's own, for settings that have none.

        Raises UsageError when neither has one.
        """
        chosen = settings.threshold if settings.threshold is not None else threshold
        if chosen is None:
            raise UsageError(
                "nobody says from which score on a part is rejected",
                "set judge.threshold, or fit the model with edgesdk, which states one",
            )
        self.threshold = chosen
        """A score from here on is a reject."""
        self._settings = settings
        self._clock_ns = clock_ns

    def __call__(self, packet: Packet) -> Packet:
        """The packet with its verdicts."""
        if not packet.parts:
            return packet
        verdicts = (self.verdict(part, packet.frame) for part in packet.parts)
        return replace(packet, events=(*packet.events, *verdicts))

    def verdict(self, part: Part, frame: Frame) -> Verdict:
        """What becomes of one part, now. `frame` stands in for a picture that there is none of."""
        # Rounded as it is told, so that who reads it comes to the same answer at the deadline.
        latency_ms = round((self._clock_ns() - part.triggered_ns) / 1e6, 3)
        late = latency_ms > self._settings.deadline_ms
        score = self._score(part)
        outcome, reason = self._decide(part, score, late)
        view = part.views[0] if part.views else None
        left, top, right, bottom = (round(edge, 1) for edge in (view.box if view else _NOWHERE))
        return Verdict(
            frame=view.frame if view else frame.index,
            time_ms=view.time_ms if view else round(frame.time_ns / 1e6, 3),
            part=part.number,
            outcome=outcome,
            reason=reason,
            score=score,
            threshold=self.threshold,
            triggered_ns=part.triggered_ns,
            latency_ms=latency_ms,
            late=late,
            left_px=left,
            top_px=top,
            right_px=right,
            bottom_px=bottom,
        )

    def _score(self, part: Part) -> float:
        """NaN when there is none."""
        found = [view.inspected.score for view in part.views if view.inspected is not None]
        complete = found and len(found) == len(part.views) and all(map(math.isfinite, found))
        if part.error or not complete:
            return math.nan
        return _FUSE[self._settings.fuse](found)

    def _decide(self, part: Part, score: float, late: bool) -> tuple[Outcome, Reason]:
        bad = score >= self.threshold
        fail_safe: Outcome = "reject" if bad else self._settings.fail_safe
        if not part.views:
            return fail_safe, "unseen"
        if part.untriggered:
            return fail_safe, "untriggered"
        if math.isnan(score):  # whatever the reason: what has no score is not good
            return fail_safe, "error"
        if late:
            return fail_safe, "late"
        return "reject" if bad else "pass", "score"
