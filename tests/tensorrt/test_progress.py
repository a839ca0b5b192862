"""Shares and remaining time out of phases and out of log lines, by hand; TensorRT has no part."""

from __future__ import annotations

import threading

import pytest

from edgesdk.backends.tensorrt.building.built import never
from edgesdk.backends.tensorrt.building.log_progress import LogProgress
from edgesdk.backends.tensorrt.building.progress import Phases, Reporter
from edgesdk.errors import BackendError


class Seen:
    """A progress function and a clock."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, float | None]] = []
        self.now = 0.0

    def show(self, name: str, share: float, left: float | None) -> None:
        self.rows.append((name, share, left))

    def clock(self) -> float:
        return self.now

    def reporter(self) -> Reporter:
        return Reporter(self.show, never, self.clock)

    @property
    def shares(self) -> list[float]:
        return [share for _, share, _ in self.rows]


def test_a_phase_inside_a_step_fills_that_step() -> None:
    seen = Seen()
    phases = Phases(seen.reporter())
    phases.start("build", None, 4)
    phases.step("build", 0)
    phases.start("timing", "build", 2)
    phases.step("timing", 0)  # 1/4 + 1/2 of a quarter
    assert seen.shares[-1] == pytest.approx(0.375)
    phases.step("timing", 1)
    phases.finish("timing")
    assert seen.shares[-1] == pytest.approx(0.5)
    phases.step("build", 1)
    assert seen.shares[-1] == pytest.approx(0.5)


def test_three_levels_of_phases() -> None:
    seen = Seen()
    phases = Phases(seen.reporter())
    phases.start("build", None, 2)
    phases.start("optimize", "build", 2)
    phases.start("time", "optimize", 2)
    phases.step("time", 0)
    assert seen.shares[-1] == pytest.approx(1 / 8)


def test_a_second_phase_in_the_same_step_does_not_take_the_share_back() -> None:
    seen = Seen()
    phases = Phases(seen.reporter())
    phases.start("build", None, 2)
    phases.start("one", "build", 1)
    phases.step("one", 0)
    phases.finish("one")
    phases.start("two", "build", 10)
    assert seen.shares == sorted(seen.shares)


def test_a_phase_that_ends_early_or_was_never_begun_is_taken() -> None:
    seen = Seen()
    phases = Phases(seen.reporter())
    phases.step("unknown", 3)
    phases.finish("unknown")
    phases.start("build", None, 0)
    phases.finish("build")
    assert all(0 <= share <= 1 for share in seen.shares)


def test_the_time_left_is_as_if_the_rest_went_on_at_the_speed_so_far() -> None:
    seen = Seen()
    reporter = seen.reporter()
    seen.now = 0.5
    reporter.at("x", 0.5)
    assert seen.rows[-1][2] is None, "too early to tell"
    seen.now = 10.0
    reporter.at("x", 0.25)  # below what was shown: stays at a half
    assert seen.rows[-1] == ("x", 0.5, pytest.approx(10.0))
    seen.now = 30.0
    reporter.at("x", 0.75)
    assert seen.rows[-1][2] == pytest.approx(10.0)


def test_phases_from_two_threads_do_not_disturb_each_other() -> None:
    seen = Seen()
    phases = Phases(seen.reporter())
    phases.start("build", None, 2)

    def one(name: str) -> None:
        phases.start(name, "build", 200)
        for step in range(200):
            phases.step(name, step)
        phases.finish(name)

    threads = [threading.Thread(target=one, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.shares == sorted(seen.shares)
    assert len(seen.shares) == 405


def test_what_a_progress_function_raises_is_kept_until_it_is_safe() -> None:
    def show(name: str, share: float, left: float | None) -> None:
        raise OSError("the terminal is gone")

    reporter = Reporter(show, never)
    reporter.at("x", 0.1)
    assert not reporter.goes_on()
    with pytest.raises(OSError, match="the terminal is gone"):
        reporter.settle()


def test_a_wish_to_stop_is_remembered() -> None:
    wishes = iter([False, True])
    reporter = Reporter(lambda *row: None, lambda: next(wishes))
    assert reporter.goes_on()
    assert not reporter.goes_on()
    assert not reporter.goes_on(), "it is not asked again"
    with pytest.raises(BackendError, match="the build was stopped"):
        reporter.settle()


# Lines as TensorRT 8 writes them.
LOG = """\
Original: 12 layers
After dead-layer removal: 12 layers
After Myelin optimization: 8 layers
After final dead-layer removal: 4 layers
Graph construction and optimization completed in 0.0027 seconds.
=============== Computing costs for
*************** Autotuning format combination: Float(1,3,32,32) -> Float(1,8,16,16) ***************
--------------- Timing Runner: conv1 + relu1 (CaskConvolution)
Tactic: 0x4727434768e46395 Time: 0.00526547
--------------- Timing Runner: conv1 + relu1 (CudnnConvolution)
--------------- Timing Runner: {ForeignNode[a.../Cast]} (Myelin[0x80000023])
--------------- Timing Runner: conv (1) (TiledPooling)
--------------- Timing Runner: Optimizer Reformat(<in> -> conv1_output) (Reformat)
Engine generation completed in 2.31989 seconds.
"""


def test_below_ten_the_log_tells_which_layer_is_timed() -> None:
    seen = Seen()
    progress = LogProgress(seen.reporter(), 50)
    for line in LOG.splitlines():
        progress.heard(line)
    assert [(name, round(share, 3)) for name, share, _ in seen.rows] == [
        ("fusing layers", 0.05),
        ("timing conv1 + relu1", 0.275),
        ("timing conv1 + relu1", 0.275),
        ("timing {ForeignNode[a.../Cast]}", 0.5),
        ("timing conv (1)", 0.725),
        ("timing Optimizer Reformat(<in> -> conv1_output)", 0.95),
        ("writing the engine", 0.95),
    ]
