"""Any source, with faults: for tests and for trying what an app does when its camera fails."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgesdk.capture.stats import SourceState, SourceStats, StateChange
from edgesdk.errors import DataError
from edgesdk.frames import Frame
from edgesdk.sim.faults import Fault, FaultSettings, garbled

if TYPE_CHECKING:  # the pipeline's own sources import this package
    from edgesdk.pipeline.protocols import Source

_KEPT = 100
_STATE: dict[str, SourceState] = {"frozen": "frozen", "disconnected": "waiting"}


class FaultySource:
    """A source of a pipeline that passes on the frames of another one, with faults.

    Frames that are missing leave a gap in the numbers and are counted as `lost`; garbled ones are
    passed on and counted as `corrupt`. While it is frozen or disconnected nothing comes for the
    time, whether frames are paced or not. A live source begins its clock with the first frame; a
    scene that is drawn more slowly than its rate comes as fast as it can, and loses nothing by it.
    """

    def __init__(self, source: Source, faults: FaultSettings) -> None:
        self.faults = faults
        self._source = source
        self._stopped = threading.Event()
        self._away = False
        self._history: deque[StateChange] = deque(maxlen=_KEPT)
        self._stats = SourceStats("connecting", 0, since_ns=time.monotonic_ns())

    @property
    def name(self) -> str:
        """That of the source."""
        return self._source.name

    @property
    def fps(self) -> float:
        """That of the source."""
        return self._source.fps

    @property
    def size(self) -> tuple[int, int]:
        """That of the source; the size may change on the way."""
        return self._source.size

    @property
    def count(self) -> int | None:
        """How many frames the source promises; some of them may be lost."""
        return self._source.count

    @property
    def live(self) -> bool:
        """Whether frames come at their rate."""
        return self.faults.live or self._source.live

    def stats(self) -> SourceStats:
        """For any thread, at any time."""
        return replace(self._stats, history=tuple(self._history))

    def stop(self) -> None:
        """Make the iteration end soon, also out of a freeze."""
        self._stopped.set()
        self._source.stop()

    def close(self) -> None:
        """Close the source."""
        self._enter("ended", "closed")
        self._source.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames that come. Raises DataError when the source is to fail for good."""
        pace, halved = _Pace(self.faults, self.fps, self._stopped), False
        for frame in self._source:
            fault = self.faults.at(frame.index, frame.time_ns)
            if fault.fails:
                self._fail(frame)
            captured_ns = frame.captured_ns
            if self.faults.live:
                captured_ns = pace.wait_for(frame, fault)
            elif fault.missing in _STATE and not self._source.live:
                self._stopped.wait(1 / self.fps)  # As silent as a camera would be.
            if self._stopped.is_set():
                break
            if fault.missing:
                self._miss(fault)
                continue
            if self._stats.state != "streaming":
                self._back()
            if fault.halved != halved:
                halved = fault.halved
                self._stats = replace(self._stats, resized=self._stats.resized + 1)
            yield self._spoilt(frame, fault, captured_ns)
        self._enter("ended", "it was stopped" if self._stopped.is_set() else "it is at its end")

    def _spoilt(self, frame: Frame, fault: Fault, captured_ns: int) -> Frame:
        image = frame.image
        if fault.halved:
            image = np.ascontiguousarray(image[::2, ::2])
        if fault.corrupt:
            image = garbled(image, self.faults.seed, frame.index)
        stats = self._stats
        self._stats = replace(
            stats, captured=stats.captured + 1, corrupt=stats.corrupt + fault.corrupt
        )
        time_ns = frame.time_ns + fault.clock_ns
        return replace(frame, image=image, time_ns=time_ns, captured_ns=captured_ns)

    def _miss(self, fault: Fault) -> None:
        self._stats = replace(self._stats, lost=self._stats.lost + 1)
        self._away = self._away or fault.missing == "disconnected"
        state = _STATE.get(fault.missing)
        if state is not None and self._stats.state != state:
            self._stats = replace(self._stats, last_error=f"simulated: {fault.missing}")
            self._enter(state, f"simulated: {fault.missing}")

    def _back(self) -> None:
        self._stats = replace(self._stats, reconnects=self._stats.reconnects + self._away)
        self._away = False
        self._enter("streaming", "frames come again" if self._stats.captured else "first frame")

    def _fail(self, frame: Frame) -> None:
        self._stats = replace(self._stats, last_error="simulated: failed for good")
        self._enter("failed", "simulated: failed for good")
        raise DataError(
            f"{self.name}: the simulated device was lost before frame {frame.index}",
            "it is asked to fail by fail_after",
        )

    def _enter(self, state: SourceState, reason: str) -> None:
        if self._stats.state in (state, "failed"):
            return
        now_ns = time.monotonic_ns()
        self._history.append(StateChange(now_ns, state, reason))
        self._stats = replace(self._stats, state=state, since_ns=now_ns)


class _Pace:
    """Lets frames come at their rate by the monotonic clock, from the first one on."""

    def __init__(self, faults: FaultSettings, fps: float, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._slack_ns = round(1e9 / fps + faults.jitter_s * 1e9)
        self._begin_ns: int | None = None

    def wait_for(self, frame: Frame, fault: Fault) -> int:
        """Return when the frame comes; gives when it was captured, by the monotonic clock.

        Where frames take longer to make than their rate allows, the clock is put back.
        """
        now_ns = time.monotonic_ns()
        if self._begin_ns is None:
            self._begin_ns = now_ns - frame.time_ns
        captured_ns = self._begin_ns + frame.time_ns
        early_ns = captured_ns + fault.late_ns - now_ns
        if early_ns > 0:
            self._stopped.wait(early_ns / 1e9)
        elif -early_ns > self._slack_ns:
            self._begin_ns -= early_ns
            captured_ns = now_ns
        return captured_ns
