"""What is urgent, what may wait, and what is never among what may wait."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.errors import UsageError
from edgesdk.frames import Frame
from edgesdk.triage import Ranker, Triaged, TriageSettings
from edgesdk.triage.triaged import unread
from edgesdk.triage.view import percent
from edgesdk.vision.classification import Classification

LABELS = ("none", "dots", "blot")
SETTINGS = TriageSettings(order=("blot", "dots", "none"))
RANKER = Ranker(SETTINGS, LABELS)


def judged(*scores: float, name: str = "a.jpg", ranker: Ranker = RANKER) -> Triaged:
    frame = Frame(np.zeros((8, 8, 3), np.uint8), 0, 0, 0, name)
    return ranker.judge(frame, Classification(np.array(scores, np.float32)))


def test_a_sure_healthy_picture_may_wait() -> None:
    event = judged(0.97, 0.02, 0.01)
    assert (event.status, event.label, event.urgent_for) == ("sure", "none", "none")
    assert event.confidence == event.likelihood == 0.97


def test_an_uncertain_healthy_picture_is_as_urgent_as_what_it_may_be() -> None:
    event = judged(0.80, 0.14, 0.06)
    assert (event.status, event.label, event.urgent_for) == ("uncertain", "none", "blot")
    assert event.likelihood == pytest.approx(0.06)


def test_a_sure_picture_with_a_worse_class_not_ruled_out_is_as_urgent_as_that() -> None:
    event = judged(0.92, 0.0, 0.08)
    assert (event.status, event.label, event.urgent_for) == ("sure", "none", "blot")


@pytest.mark.parametrize(
    "scores", [(math.nan, 0.5, 0.5), (math.inf, 0, 0), (3, -1, -1), (0, 0, 0), (2.0, 1.0, 0.5)]
)
def test_scores_that_are_no_probabilities_are_unread(scores: tuple[float, ...]) -> None:
    event = judged(*scores)
    assert event.status == "unread"
    assert "no probabilities" in event.reason
    assert math.isnan(event.confidence)


def test_the_order_is_unread_then_urgency_then_how_sure_it_is_then_arrival() -> None:
    pictures = [
        judged(0.97, 0.02, 0.01, name="healthy"),
        judged(0.01, 0.95, 0.04, name="dots"),
        judged(0.3, 0.1, 0.6, name="perhaps a blot"),
        judged(0.8, 0.1, 0.1, name="hardly a blot"),
        judged(0.0, 0.02, 0.98, name="blot"),
        unread("broken", "it is cut off"),
        judged(0.0, 0.02, 0.98, name="blot too"),
        judged(0.93, 0.04, 0.03, name="less sure"),
    ]
    names = [event.picture for event in RANKER.ordered(pictures)]
    assert names == [
        *("broken", "blot", "blot too", "perhaps a blot", "hardly a blot", "dots"),
        *("less sure", "healthy"),
    ]


def test_what_is_just_below_a_limit_does_not_look_as_if_it_were_at_it() -> None:
    assert [percent(share) for share in (0.8996, 0.9, 0.29, 1.0)] == ["89%", "90%", "29%", "100%"]


WEIGHTS = st.lists(st.floats(1e-6, 1), min_size=40, max_size=40)


@given(WEIGHTS, st.floats(0.51, 1), st.floats(1e-6, 0.49))
def test_what_is_uncertain_is_never_behind_a_sure_picture_that_may_wait(
    weights: list[float], sure: float, ruled_out: float
) -> None:
    # Forty classes: the rest may be spread so thinly that each alone would be ruled out.
    labels = tuple(f"c{i}" for i in range(40))
    ranker = Ranker(TriageSettings(labels, sure, ruled_out), labels)
    scores = np.array(weights) / sum(weights)
    event = judged(*scores.tolist(), ranker=ranker)
    waits = judged(*[0.0] * 39, 1.0, name="waits", ranker=ranker)
    assert waits.urgent_for == "c39"
    if event.status == "uncertain":
        assert event.urgent_for != "c39"
        assert ranker.ordered([waits, event])[0] is event


@pytest.mark.parametrize("order", [(), ("blot", "dots"), ("blot", "dots", "none", "more")])
def test_an_order_of_other_labels_is_an_error_before_anything_runs(order: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="none, dots, blot"):
        Ranker(TriageSettings(order), LABELS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sure": 0.5}, "sure should be above 0.5"),
        ({"ruled_out": 0.5}, "ruled_out should be"),
        ({"ruled_out": 0.0}, "no class is ever ruled out"),
        ({"order": ("a", "a")}, "once"),
    ],
)
def test_settings_out_of_range_are_an_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriageSettings(**settings)  # type: ignore[arg-type]
