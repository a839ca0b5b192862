"""From probabilities to urgency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.errors import UsageError
from edgesdk.frames import Frame
from edgesdk.tensors import Floats
from edgesdk.triage.settings import TriageSettings
from edgesdk.triage.triaged import Triaged, unread
from edgesdk.vision.classification import Classification


class Ranker:
    """Says of each picture how urgent it is, and puts them in order."""

    def __init__(self, settings: TriageSettings, labels: Sequence[str]) -> None:
        """`labels` are the model's. Raises UsageError where `order` has others."""
        if sorted(settings.order) != sorted(labels):
            raise UsageError(
                f"order should name the labels of the model, {', '.join(labels) or 'of which it'}"
                f"{'' if labels else ' has none'}; found {', '.join(settings.order) or 'none'}",
                "list them all, the most urgent first: --set 'order=[...]'",
            )
        self._settings = settings
        self._labels = tuple(labels)
        self._urgency = {label: place for place, label in enumerate(settings.order)}

    def judge(self, frame: Frame, found: Classification) -> Triaged:
        """The event of one picture; one whose scores are no probabilities is unread."""
        scores, time_ms = found.scores, round(frame.time_ns / 1e6, 3)
        if not _probabilities(scores):
            said = ", ".join(f"{score:g}" for score in scores[:5])
            reason = f"the model's scores are no probabilities: {said}"
            return unread(frame.source, reason, frame.index, time_ms)
        likeliest, *others = found.top(2).tolist()
        sure = bool(scores[likeliest] >= self._settings.sure)
        in_question = {likeliest, *np.flatnonzero(scores >= self._settings.ruled_out).tolist()}
        if not sure:  # The runner-up too, however thinly the rest is spread over many classes.
            in_question.update(others)
        worst = min(in_question, key=lambda i: self._urgency[self._labels[i]])
        return Triaged(
            frame=frame.index,
            time_ms=time_ms,
            picture=frame.source,
            status="sure" if sure else "uncertain",
            label=self._labels[likeliest],
            confidence=round(float(scores[likeliest]), 4),
            urgent_for=self._labels[worst],
            likelihood=round(float(scores[worst]), 4),
        )

    def ordered(self, pictures: Sequence[Triaged]) -> list[Triaged]:
        """The most urgent first: what is unread, then by the class in question.

        Of one class the likelier is ahead; among what may wait, the less sure. Of equal ones the
        one that came first.
        """
        calm = self._settings.order[-1]

        def urgency(each: Triaged) -> tuple[float, float]:
            if each.status == "unread":
                return -1, 0.0
            likelihood = each.likelihood if each.urgent_for == calm else -each.likelihood
            return self._urgency[each.urgent_for], likelihood

        return sorted(pictures, key=urgency)


def _probabilities(scores: Floats) -> bool:
    within = np.isfinite(scores).all() and (scores >= 0).all()
    return bool(within and abs(float(scores.sum()) - 1) < 1e-3)
