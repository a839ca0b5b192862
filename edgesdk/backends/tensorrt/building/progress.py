"""How far a build is: one share out of nested phases, and the time that is left.

TensorRT 10 and later report phases: each has a number of steps, and a phase may begin inside a
step of another. The share of a phase is

    (steps done + share of the phase inside the current step) / steps

and the share of the build that of the outermost phase. Steps take different times, so the share
is a guide. The seconds left are `elapsed * (1 - share) / share`, as if the rest went on at the
speed so far; nothing is said before a second and a twentieth of the work are over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import cast

from edgesdk.backends.base import ShowProgress
from edgesdk.backends.tensorrt.api import from_ten
from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.errors import BackendError

EARLIEST_S = 1.0
EARLIEST_SHARE = 0.05


class Reporter:
    """Shows shares that never fall, and keeps a caller's error until the build is over.

    No exception may pass through TensorRT's own frames: what `show` or `stop` raises, Ctrl-C
    too, ends the build and is raised by `settle`.
    """

    def __init__(
        self,
        show: ShowProgress,
        stop: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show, self._stop, self._clock = show, stop, clock
        self._started = clock()
        self._share = 0.0
        self.guard = _Guard()
        """Around everything that TensorRT calls."""
        self._stopped = False
        self._lock = threading.RLock()

    def at(self, name: str, share: float) -> None:
        """The build is this far, 0..1."""
        with self._lock, self.guard:
            self._share = max(self._share, min(share, 1.0))
            self._show(name, self._share, self._left())

    def goes_on(self) -> bool:
        """False: stop as soon as possible."""
        with self._lock:
            with self.guard:
                self._stopped = self._stopped or self._stop()
            return not self._stopped and self.guard.error is None

    def settle(self) -> None:
        """Raise what was kept, or BackendError when the build was stopped."""
        if self.guard.error is not None:
            raise self.guard.error
        if self._stopped:
            raise BackendError("the build was stopped", "start it again; the bundle is untouched")

    def _left(self) -> float | None:
        elapsed = self._clock() - self._started
        if elapsed < EARLIEST_S or self._share < EARLIEST_SHARE:
            return None
        return elapsed * (1.0 - self._share) / self._share


class _Guard:
    """Keeps the first error of a block instead of letting it out."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self.error = self.error or error
        return True


@dataclass
class _Phase:
    steps: int
    parent: str | None
    done: int = 0
    inside: dict[str, None] = field(default_factory=dict)
    """Names of the phases that run inside it."""


class Phases:
    """The phases that TensorRT has begun and not finished."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.guard = reporter.guard
        self._running: dict[str, _Phase] = {}
        self._lock = threading.Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._running[name] = _Phase(max(steps, 1), parent)
            if parent in self._running:
                self._running[parent].inside[name] = None
        self._show(name)

    def step(self, name: str, step: int) -> None:
        """A step, counted from 0, is done."""
        with self._lock:
            if name in self._running:
                self._running[name].done = step + 1
        self._show(name)

    def goes_on(self) -> bool:
        """False: stop as soon as possible."""
        return self._reporter.goes_on()

    def finish(self, name: str) -> None:
        """A phase ends; the outermost one ends the build."""
        with self._lock:
            phase = self._running.pop(name, None)
            if phase is not None and phase.parent in self._running:
                self._running[phase.parent].inside.pop(name, None)
        self._show(name)

    def _show(self, name: str) -> None:
        with self._lock:
            outermost = [n for n, p in self._running.items() if p.parent not in self._running]
            share = self._share(outermost[0]) if outermost else 0.0
        self._reporter.at(name, share)

    def _share(self, name: str) -> float:
        phase = self._running[name]
        inner = max((self._share(n) for n in phase.inside), default=0.0)
        return min((phase.done + inner) / phase.steps, 1.0)


def make_monitor(trt: TensorRT, phases: Phases) -> from_ten.IProgressMonitor:
    """A progress monitor of TensorRT's class. Keep it as long as the config that has it."""
    module = cast("from_ten.TensorRT", trt)

    class Monitor(module.IProgressMonitor):  # type: ignore[name-defined, misc]
        """Passes the phases on."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """A phase begins."""
            with phases.guard:
                phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """A step is done; False stops the build."""
            with phases.guard:
                phases.step(phase_name, step)
            return phases.goes_on()

        def phase_finish(self, phase_name: str) -> None:
            """A phase ends."""
            with phases.guard:
                phases.finish(phase_name)

    monitor: from_ten.IProgressMonitor = Monitor()
    return monitor
