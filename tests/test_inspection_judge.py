"""One verdict a part: by its score, or by the fail-safe where the score cannot be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgesdk.errors import ModelError, UsageError
from edgesdk.frames import Frame
from edgesdk.inspection import Judge, JudgeSettings, Verdict
from edgesdk.pipeline import InspectParts, Packet
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.parts import Part, View

PICTURE = np.zeros((8, 8, 3), np.uint8)
FRAME = Frame(np.zeros((20, 30, 3), np.uint8), 7, 280_000_000, 1_000_000_000)
DUE_NS = 1_000_000_000
MS = 1_000_000


def part(*scores: float | None, error: str = "", number: int = 0) -> Part:
    """A part with a view for each score; the first was seen in frame 5."""
    views = tuple(
        View(PICTURE, (1.04, 2.0, 3.0, 4.0), 5 - i, 200.0, None if s is None else Inspected(s))
        for i, s in enumerate(scores)
    )
    return Part(number, DUE_NS, views, error)


def judged(given: Part, after_ms: float = 1.0, **settings: object) -> Verdict:
    chosen = JudgeSettings(**{"threshold": 2.0, **settings})  # type: ignore[arg-type]
    judge = Judge(chosen, None, lambda: DUE_NS + round(after_ms * MS))
    (verdict,) = judge(Packet(FRAME, parts=(given,))).events
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.parametrize(
    ("score", "outcome"), [(1.99, "pass"), (2.0, "reject"), (9.0, "reject"), (-4.0, "pass")]
)
def test_a_score_from_the_threshold_on_is_a_reject(score: float, outcome: str) -> None:
    verdict = judged(part(score))
    assert (verdict.outcome, verdict.reason, verdict.score) == (outcome, "score", score)
    assert verdict.threshold == 2.0
    assert not verdict.late


def test_a_verdict_is_of_the_picture_that_counted() -> None:
    verdict = judged(part(1.0))
    assert (verdict.frame, verdict.time_ms) == (5, 200.0)
    box = (verdict.left_px, verdict.top_px, verdict.right_px, verdict.bottom_px)
    assert box == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(("fuse", "score"), [("max", 3.0), ("median", 1.0), ("mean", 1.5)])
def test_several_views_make_one_score(fuse: str, score: float) -> None:
    assert judged(part(0.5, 3.0, 1.0), fuse=fuse).score == score


@pytest.mark.parametrize(("after_ms", "late"), [(50.0, False), (50.001, True), (900.0, True)])
def test_a_verdict_after_its_deadline_is_late_and_fails(after_ms: float, late: bool) -> None:
    verdict = judged(part(0.1), after_ms, deadline_ms=50.0)
    assert verdict.late is late
    assert verdict.latency_ms == pytest.approx(after_ms)
    assert (verdict.outcome, verdict.reason) == (("reject", "late") if late else ("pass", "score"))
    assert verdict.score == 0.1  # It is told all the same.


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (part(), "unseen"),
        (part(0.1, error="it touches another part"), "error"),
        (part(None), "error"),
        (part(0.1, None), "error"),
        (part(math.nan), "error"),
        (part(0.1, math.nan), "error"),
        (part(math.inf), "error"),
        (part(-math.inf), "error"),
    ],
)
@pytest.mark.parametrize("fail_safe", ["reject", "pass"])
def test_what_has_no_score_takes_the_fail_safe(given: Part, reason: str, fail_safe: str) -> None:
    verdict = judged(given, fail_safe=fail_safe)
    assert (verdict.outcome, verdict.reason) == (fail_safe, reason)
    assert math.isnan(verdict.score)


def test_a_part_whose_score_says_reject_is_rejected_however_late_it_is() -> None:
    verdict = judged(part(5.0), 900.0, fail_safe="pass")
    assert (verdict.outcome, verdict.reason) == ("reject", "late")


@pytest.mark.parametrize(("score", "outcome"), [(0.1, "pass"), (5.0, "reject")])
def test_a_part_that_no_trigger_told_of_takes_the_fail_safe_and_keeps_its_score(
    score: float, outcome: str
) -> None:
    given = replace(part(score), untriggered=True)
    verdict = judged(given)
    assert (verdict.outcome, verdict.reason, verdict.score) == ("reject", "untriggered", score)
    assert judged(given, fail_safe="pass").outcome == outcome


def test_a_trigger_without_a_part_stands_in_the_frame_at_hand() -> None:
    verdict = judged(part())
    assert (verdict.frame, verdict.time_ms) == (7, 280.0)


def test_the_settings_threshold_goes_before_the_models() -> None:
    assert Judge(JudgeSettings(), 3.5).threshold == 3.5
    assert Judge(JudgeSettings(threshold=1.5), 3.5).threshold == 1.5
    assert Judge(JudgeSettings(threshold=0.0), 3.5).threshold == 0.0
    with pytest.raises(UsageError, match="threshold"):
        Judge(JudgeSettings(), None)


def test_a_deadline_is_positive() -> None:
    with pytest.raises(ValueError, match="deadline_ms"):
        JudgeSettings(deadline_ms=0)


@given(
    scores=st.lists(st.floats(-1e6, 1e6) | st.just(math.nan) | st.none(), max_size=4),
    error=st.sampled_from(["", "broken"]),
    after_ms=st.floats(0, 200),
    fail_safe=st.sampled_from(["reject", "pass"]),
    fuse=st.sampled_from(["max", "median", "mean"]),
)
def test_nothing_passes_but_a_good_score_in_time_or_what_the_fail_safe_lets_through(
    scores: list[float | None], error: str, after_ms: float, fail_safe: str, fuse: str
) -> None:
    given = part(*scores, error=error)
    verdict = judged(given, after_ms, fail_safe=fail_safe, fuse=fuse)
    known = [s for s in scores if s is not None and not math.isnan(s)]
    sure = bool(scores) and len(known) == len(scores) and not error and after_ms <= 100
    if verdict.outcome == "pass" and fail_safe == "reject":
        assert sure
        assert min(known) < 2.0
    assert (verdict.reason == "score") == sure or abs(after_ms - 100) < 1e-3


# --- the stage that asks the model ---------------------------------------------------------------


class Model:
    """Says the mean level of each picture; breaks on one that is white."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Inspected]:
        self.asked.append(len(pictures))
        if any(picture.min() == 255 for picture in pictures):
            raise ZeroDivisionError("as bad as it gets")
        if any(picture.min() == 254 for picture in pictures):
            raise ModelError("the output should have shape 1", "export it again")
        return [Inspected(float(picture.mean())) for picture in pictures]


def gray(*levels: int, number: int = 0, error: str = "") -> Part:
    views = tuple(View(np.full_like(PICTURE, n), (0, 0, 8, 8), 0, 0.0) for n in levels)
    return Part(number, DUE_NS, views, error)


def test_each_view_of_each_part_is_inspected_and_the_order_is_kept() -> None:
    model = Model()
    given = (gray(3, 5), gray(9, number=1))
    found = InspectParts(None, model)(Packet(FRAME, parts=given)).parts
    assert [[v.inspected.score for v in p.views if v.inspected] for p in found] == [[3, 5], [9]]
    assert [p.number for p in found] == [0, 1]
    assert given[0].views[0].inspected is None  # Packets are replaced, not changed.


@pytest.mark.parametrize(
    ("level", "words"), [(255, "ZeroDivisionError"), (254, "should have shape 1")]
)
def test_a_part_that_cannot_be_inspected_says_why_and_the_next_one_is(
    level: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = InspectParts(None, Model())
    found = stage(Packet(FRAME, parts=(gray(level), gray(9, number=1)))).parts
    assert words in found[0].error
    assert found[1].views[0].inspected is not None
    assert "part 0 cannot be inspected" in caplog.text


def test_the_model_is_not_asked_of_what_cannot_be_judged() -> None:
    model = Model()
    stage = InspectParts(None, model)
    stage(Packet(FRAME, parts=(gray(), gray(3, error="it touches another part"))))
    assert model.asked == []
    packet = Packet(FRAME)
    assert stage.run_batch([packet])[0] is packet
