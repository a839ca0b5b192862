"""When to open a camera, when to give up on it, and how long to wait: logic without a clock.

    waiting ──(time is up)──> connecting ──(frame)──> streaming ──(silence)──> frozen
       ^                          │ refused, too long     │ lost                 │ killed
       └──────────────────────────┴───────────────────────┴──────────────────────┘

From any of them to "ended" (at its end, or stopped) and "failed" (no use in trying again).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from edgesdk.capture.stats import SourceState, StateChange

Action = Literal["open", "kill", "none"]


@dataclass(frozen=True)
class Recovery:
    """How a camera that fails is brought back. Raises ValueError for a value out of range."""

    first_s: float = 0.5
    """Wait before the second try."""
    factor: float = 2.0
    """Each further wait is so many times longer."""
    cap_s: float = 30.0
    """No wait is longer than this."""
    jitter: float = 0.2
    """Share 0..1 by which a wait is longer or shorter by chance, so that many cameras do not all
    come back at once."""
    steady_s: float = 10.0
    """After so long a time of frames, the next failure begins with `first_s` again."""
    open_s: float = 10.0
    """An opening that brings no frame within this time is killed."""
    freeze_s: float = 5.0
    """An open camera that brings no frame for this time is killed."""
    start_s: float = 30.0
    """How long the first picture is waited for before the camera is called unusable; later
    interruptions may last for ever."""
    kept_changes: int = 64
    """Changes of state that are remembered."""

    def __post_init__(self) -> None:
        for name in ("first_s", "cap_s", "open_s", "freeze_s", "start_s", "kept_changes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} should be above 0, found {getattr(self, name)}")
        if not self.factor >= 1:
            raise ValueError(f"factor should be 1 or more, found {self.factor}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter should be from 0 to 1, found {self.jitter}")
        if not self.steady_s >= 0:
            raise ValueError(f"steady_s should be 0 or more, found {self.steady_s}")

    def with_freeze(self, freeze_s: float) -> Recovery:
        """The same with another `freeze_s`; where frames may be so far apart, the first one may
        take as long."""
        if freeze_s <= self.open_s:
            return replace(self, freeze_s=freeze_s)
        start_s = max(self.start_s, 2 * freeze_s)
        return replace(self, freeze_s=freeze_s, open_s=freeze_s, start_s=start_s)


class Machine:
    """The state of one camera. Not for several threads at once."""

    def __init__(
        self,
        recovery: Recovery,
        now_ns: Callable[[], int],
        chance: Callable[[], float],
        changed: Callable[[StateChange], None] = lambda _: None,
    ) -> None:
        """`now_ns` is a monotonic clock, `chance` gives numbers from 0 to 1; `changed` is told of
        each change of state."""
        self._changed = changed
        self._recovery = recovery
        self._now_ns = now_ns
        self._chance = chance
        self._failures = 0
        self._due_ns = now_ns()
        self._streaming_ns = 0
        self._was_streaming = False
        self.state: SourceState = "waiting"
        self.since_ns = now_ns()
        self.reconnects = 0
        self.last_error = ""
        self.history: deque[StateChange] = deque(maxlen=recovery.kept_changes)

    @property
    def over(self) -> bool:
        """True when there will be no further frame."""
        return self.state in ("ended", "failed")

    def tick(self, held: bool = False) -> Action:
        """What the clock demands now; whoever owns the capture has to do it.

        "kill": end the capture, then call `lost`. `held`: no frame can come because nobody takes
        the ones that are there, so silence means nothing.
        """
        now_ns = self._now_ns()
        if held and self.state == "streaming":
            self._due_ns = now_ns + _ns(self._recovery.freeze_s)
        if self.over or now_ns < self._due_ns:
            return "none"
        if self.state == "waiting":
            self._enter("connecting", "opening it" if not self.history else "trying again")
            self._due_ns = now_ns + _ns(self._recovery.open_s)
            return "open"
        if self.state == "connecting":
            self._enter("frozen", f"no frame within {self._recovery.open_s:g} s of opening")
        elif self.state == "streaming":
            self._enter("frozen", f"open, but no frame for {self._recovery.freeze_s:g} s")
        return "kill"

    def wake_s(self) -> float:
        """Seconds until `tick` has something to say; 0 when it has now."""
        return max(0.0, (self._due_ns - self._now_ns()) / 1e9)

    def frame(self) -> None:
        """A frame came."""
        if self.state not in ("connecting", "streaming"):
            return
        now_ns = self._now_ns()
        if self.state == "connecting":
            self.reconnects += self._was_streaming
            self._was_streaming = True
            self._streaming_ns = now_ns
            self._enter("streaming", "frames come")
        self._due_ns = now_ns + _ns(self._recovery.freeze_s)

    def lost(self, reason: str) -> float:
        """The capture is gone; gives the seconds until the next try."""
        if self.over:
            return 0.0
        now_ns = self._now_ns()
        if self._streaming_ns and now_ns - self._streaming_ns >= _ns(self._recovery.steady_s):
            self._failures = 0
        self._streaming_ns = 0
        wait_s = self._wait_s()
        self._failures += 1
        self._due_ns = now_ns + _ns(wait_s)
        self.last_error = reason
        self._enter("waiting", f"{reason}; next try in {wait_s:.1f} s")
        return wait_s

    def again(self, reason: str) -> None:
        """Open it once more without a wait: a file that is played in a loop."""
        if not self.over:
            self._due_ns = self._now_ns()
            self._was_streaming = False
            self._enter("waiting", reason)

    def end(self, reason: str) -> None:
        """There will be no further frame, and that is as it should be."""
        if not self.over:
            self._enter("ended", reason)

    def fail(self, reason: str) -> None:
        """There is no use in trying again."""
        if not self.over:
            self.last_error = reason
            self._enter("failed", reason)

    def _wait_s(self) -> float:
        recovery = self._recovery
        # The power is bounded first: after a night of failures it would not fit in a float.
        wait_s = recovery.first_s * recovery.factor ** min(self._failures, 64)
        spread = 1 + recovery.jitter * (2 * self._chance() - 1)
        return min(recovery.cap_s, min(recovery.cap_s, wait_s) * spread)

    def _enter(self, state: SourceState, reason: str) -> None:
        self.state = state
        self.since_ns = self._now_ns()
        self.history.append(StateChange(self.since_ns, state, reason))
        self._changed(self.history[-1])


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
