"""Numbers the frames of a camera over all its capture processes, and counts what became of them."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.capture.child import News, Ready
from edgesdk.capture.recovery import Machine
from edgesdk.capture.stats import SourceStats


@dataclass(frozen=True)
class Arrived:
    """A frame that waits to be taken."""

    ready: Ready
    index: int
    """Its number at the camera, over all reconnections."""
    time_ns: int
    """Media time since the camera's first frame."""


class Ledger:
    """captured = taken + dropped_at_source + those that wait, at any time."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self.fps = 0.0
        """As the stream states it; 0 where it does not."""
        self.size = (0, 0)
        """Width and height in pixels of the newest frame."""
        self._captured = 0
        self._superseded = 0
        self._left_out = 0
        self._corrupt = 0
        self._resized = 0
        self._first_number = 0
        self._left_out_before = 0
        self._first_ns: int | None = None
        self._time_ns = -1
        self._stated_first_ns: int | None = None
        self._time_before_ns = 0

    def new_process(self) -> None:
        """The next frame is number 0 of another capture process."""
        self._first_number = self._captured
        self._left_out_before = self._left_out
        self._stated_first_ns = None

    def arrived(self, news: News, broken: bool) -> Arrived:
        """A frame is here; `broken`: its decoder complained."""
        ready = news.frame
        assert ready is not None
        index = self._first_number + ready.number
        self._captured = index + 1
        self._left_out = self._left_out_before + news.dropped
        self._corrupt += broken
        height, width = ready.ring.pictures.shape[1:3]
        if self.size not in ((0, 0), (width, height)):
            self._resized += 1
        self.size = (width, height)
        self._time_ns = self._media_ns(ready)
        return Arrived(ready, index, self._time_ns)

    def superseded(self) -> None:
        """A frame that waited has made room for a newer one, or was left at the end."""
        self._superseded += 1

    def stats(self, machine: Machine) -> SourceStats:
        """All of it."""
        return SourceStats(
            state=machine.state,
            captured=self._captured,
            dropped_at_source=self._superseded + self._left_out,
            corrupt=self._corrupt,
            reconnects=machine.reconnects,
            resized=self._resized,
            since_ns=machine.since_ns,
            last_error=machine.last_error,
            history=tuple(machine.history),
        )

    def _media_ns(self, ready: Ready) -> int:
        """By the clock for a camera, by what the stream states for a file; always growing."""
        if self._live:
            if self._first_ns is None:
                self._first_ns = ready.captured_ns
            return max(self._time_ns + 1, ready.captured_ns - self._first_ns)
        step_ns = round(1e9 / (self.fps or 25.0))
        if self._stated_first_ns is None:
            self._stated_first_ns = ready.stated_ns
            self._time_before_ns = self._time_ns + step_ns if self._time_ns >= 0 else 0
            return self._time_before_ns
        time_ns = self._time_before_ns + ready.stated_ns - self._stated_first_ns
        return time_ns if time_ns > self._time_ns else self._time_ns + step_ns
