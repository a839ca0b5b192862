"""A run that should not be quoted says why; a steady one on a quiet machine says nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgesdk.report import Activity, LatencyReport
from edgesdk.report.machine import ClockDomain
from tests.report_samples import DESK, QUIET, report, steady

FIXED = ClockDomain("policy0", "cpu", 3000, 3000, 3000, "schedutil")
FREE = ClockDomain("policy0", "cpu", 800, 800, 3000, "schedutil")
LOCKED_DESK = replace(DESK, clocks=(FIXED,))


def codes(found: LatencyReport) -> list[str]:
    return [finding.code for finding in found.findings]


def test_a_steady_run_on_a_quiet_machine_has_no_finding() -> None:
    assert codes(report(steady(), LOCKED_DESK)) == []


def test_a_cv_above_two_and_a_half_percent_is_unsteady_as_for_trtexec() -> None:
    calm, wild = 20 + np.tile([-0.4, 0.4], 200), 20 + np.tile([-0.6, 0.6], 200)  # CV 2.0, 3.0 %
    assert codes(report(calm, LOCKED_DESK)) == []
    found = report(wild, LOCKED_DESK)
    assert codes(found) == ["unsteady"]
    assert "3.0 %" in found.findings[0].seen


def test_too_few_samples_names_what_cannot_be_stated_and_how_many_it_takes() -> None:
    finding = report(steady(100), LOCKED_DESK).findings[0]
    assert finding.code == "too-few-samples"
    assert finding.seen == "100 samples; p99 cannot be stated from them"
    assert "368" in finding.do


def test_a_machine_that_gets_slower_drifts() -> None:
    slower = steady(600) * np.linspace(1.0, 1.06, 600)
    found = report(slower, LOCKED_DESK)
    assert "drift" in codes(found)
    assert "warm-up" not in codes(found)
    drift = next(f for f in found.findings if f.code == "drift")
    assert "slower" in drift.seen


def test_noise_alone_is_no_drift() -> None:
    wide = np.random.default_rng(1).normal(20, 2, (200, 400))
    drifting = sum("drift" in codes(report(run, LOCKED_DESK)) for run in np.abs(wide))
    assert drifting <= 2  # non-overlapping 95 % intervals come by chance about once in 200


def test_a_start_that_is_still_slow_means_too_short_a_warm_up() -> None:
    cold = steady(400)
    cold[:30] *= 1.2
    found = report(cold, LOCKED_DESK)
    finding = next(f for f in found.findings if f.code == "warm-up")
    assert "faster" in finding.seen
    assert "--warmup" in finding.do


def test_other_processes_on_the_machine_are_seen() -> None:
    assert codes(report(steady(), LOCKED_DESK, Activity(0.1, 4.9, 0.0))) == []
    found = report(steady(), LOCKED_DESK, Activity(0.1, 40.0, 0.0))
    assert codes(found) == ["busy-machine"]
    assert "40.0 %" in found.findings[0].seen


def test_without_process_times_the_load_average_speaks() -> None:
    assert codes(report(steady(), LOCKED_DESK, Activity(1.0, None, None))) == []
    assert codes(report(steady(), LOCKED_DESK, Activity(6.0, None, None))) == ["busy-machine"]


def test_time_that_the_hypervisor_took_is_seen() -> None:
    assert codes(report(steady(), LOCKED_DESK, Activity(0.1, 0.0, 3.0))) == ["stolen-time"]


def test_clocks_that_may_move_are_named_with_the_command_that_locks_them() -> None:
    desk = report(steady(), replace(DESK, clocks=(FREE,))).findings[0]
    assert desk.code == "clocks-free"
    assert "policy0 800 to 3000 MHz (schedutil)" in desk.seen
    assert "cpupower" in desk.do
    board = replace(DESK, clocks=(FREE,), board="NVIDIA Jetson Orin Nano")
    assert "jetson_clocks" in report(steady(), board).findings[0].do


def test_many_free_clocks_are_counted_rather_than_listed() -> None:
    many = tuple(replace(FREE, name=f"policy{i}") for i in range(64))
    assert "and 60 more" in report(steady(), replace(DESK, clocks=many)).findings[0].seen


def test_unreadable_clocks_are_a_note_and_not_a_warning() -> None:
    found = report(steady(), DESK)
    assert [(f.code, f.level) for f in found.findings] == [("clocks-unknown", "note")]
    assert found.warnings == 0


def test_warnings_come_before_notes() -> None:
    found = report(steady(100), DESK, Activity(0.1, 40.0, 0.0))
    levels = [finding.level for finding in found.findings]
    assert levels == ["warning", "warning", "note"]
    assert found.warnings == 2


@pytest.mark.parametrize("total_ms", [[20.0, 20.0], [0.0, 0.0], [20.0] * 400])
def test_every_finding_says_what_it_means_and_what_to_do(total_ms: list[float]) -> None:
    for finding in report(total_ms, DESK, QUIET).findings:
        assert finding.seen
        assert finding.means
        assert finding.do
