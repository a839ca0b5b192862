"""Process control: alarms when the line changes, and hardly any when it does not."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from edgesdk.inspection import Verdict
from edgesdk.inspection.control import ControlSettings, ProcessControl
from tests.inspection.made import verdict


def told(control: ProcessControl, scores: np.ndarray, threshold: float = 3.0) -> list[str]:
    """Alarms after each group."""
    alarms = []
    for score in scores.tolist():
        outcome = "reject" if score >= threshold else "pass"
        if control.add(verdict(control.parts, score, outcome)):  # type: ignore[arg-type]
            alarms.append(control.share.alarm or control.score.alarm)
    return alarms


def test_limits_are_those_of_the_textbook() -> None:
    """Montgomery, 6th ed., example 7.1: 30 samples of 50 cans, 347 bad ones: p = .2313, limits
    .0524 and .4102."""
    bad = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15]
    bad += [9, 12, 7, 13, 9, 6]
    assert sum(bad) == 347
    control = ProcessControl(ControlSettings(group=50, baseline=30))
    for group in bad:
        for i in range(50):
            control.add(verdict(i, 1.0, "reject" if i < group else "pass"))
    limits = control.share.limits
    assert limits is not None
    assert limits.middle == pytest.approx(0.2313, abs=5e-5)
    assert limits.low == pytest.approx(0.0524, abs=5e-5)
    assert limits.high == pytest.approx(0.4102, abs=5e-5)


def test_a_steady_line_gives_hardly_an_alarm() -> None:
    rng = np.random.default_rng(3)
    alarms = told(ProcessControl(), rng.normal(1, 0.3, 50 * 420))
    assert sum(map(bool, alarms)) <= 0.06 * len(alarms)


def test_a_lens_that_gets_dirty_is_seen_before_a_part_is_rejected_for_it() -> None:
    rng = np.random.default_rng(4)
    control = ProcessControl()
    told(control, rng.normal(1, 0.1, 50 * 40))
    drifting = rng.normal(1, 0.1, 50 * 40) + np.linspace(0, 0.5, 50 * 40)
    assert drifting.max() < 3.0, "no part would be rejected"
    alarms = told(control, drifting)
    assert "median score" in alarms[-1]
    assert "above" in alarms[-1]
    assert next(i for i, alarm in enumerate(alarms) if alarm) < 15
    assert control.share.alarm == ""


def test_more_rejects_than_usual_are_seen() -> None:
    control = ProcessControl(ControlSettings(group=50, baseline=10))
    told(control, np.tile([1.0] * 49 + [9.0], 10))
    alarms = told(control, np.tile([1.0] * 40 + [9.0] * 10, 1))
    assert alarms == ["reject rate of the last 50 parts is above the limit"]


def test_a_small_change_that_stays_is_seen_by_its_run() -> None:
    rng = np.random.default_rng(5)
    control = ProcessControl(ControlSettings(group=20, baseline=20))
    told(control, rng.normal(1, 0.1, 400))
    alarms = told(control, rng.normal(0.95, 0.1, 20 * 40))
    assert sum("median score has been below the middle for" in alarm for alarm in alarms) > 5


def test_nothing_is_out_of_control_before_it_is_known_what_is_usual() -> None:
    control = ProcessControl(ControlSettings(group=10, baseline=5))
    alarms = told(control, np.array([1.0, 9.0] * 25))
    assert alarms == [""] * 5
    assert control.share.limits is not None


def test_parts_without_a_score_count_as_rejects_and_do_not_move_the_scores() -> None:
    control = ProcessControl(ControlSettings(group=4, baseline=2))
    unseen: Verdict = dataclasses.replace(verdict(0, math.nan, "reject"), reason="unseen")
    control.add(verdict(0, 1.0))
    control.add(unseen)
    control.add(verdict(2, 3.0))
    group = control.add(unseen)
    assert group is not None
    assert (group.rejects, group.share, group.median_score) == (2, 0.5, 2.0)
    for _ in range(4):
        group = control.add(unseen)
    assert group is not None
    assert math.isnan(group.median_score)


def test_memory_is_bounded() -> None:
    control = ProcessControl(ControlSettings(group=2, baseline=2, kept=10))
    told(control, np.ones(500))
    assert [group.number for group in control.groups] == list(range(240, 250))
    assert control.parts == 500


@pytest.mark.parametrize("wrong", [{"group": 1}, {"baseline": 0}, {"sigmas": 0.0}, {"kept": 0}])
def test_settings_that_make_no_chart_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="should be"):
        ControlSettings(**wrong)  # type: ignore[arg-type]
