"""What a source that may fail and come back says of itself. Only the standard library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SourceState = Literal["connecting", "streaming", "frozen", "waiting", "ended", "failed"]
"""connecting: being opened, no frame yet. streaming: frames come. frozen: open, but none came for
too long. waiting: before the next try. ended: it was at its end or was stopped. failed: given up.
"""


@dataclass(frozen=True)
class StateChange:
    """One change of a source's state."""

    at_ns: int
    """Monotonic clock (time.monotonic_ns)."""
    state: SourceState
    """The state that began."""
    reason: str
    """Why, in a few words; never with a password."""


@dataclass(frozen=True)
class SourceStats:
    """Where a source stands, and what it has counted since it was opened."""

    state: SourceState
    captured: int
    """Frames that it captured: those it handed over and `dropped_at_source`."""
    lost: int = 0
    """Frames known to be missing before we had them: gaps in the numbers of the device."""
    dropped_at_source: int = 0
    """Frames captured, then replaced by newer ones before anyone asked for them."""
    corrupt: int = 0
    """Frames that came and could not be decoded."""
    reconnects: int = 0
    """How often frames came again after an interruption."""
    resized: int = 0
    """How often the picture's size changed."""
    since_ns: int = 0
    """Monotonic clock when `state` began."""
    last_error: str = ""
    """Of the last interruption; empty when there was none."""
    history: tuple[StateChange, ...] = ()
    """The last changes of state, oldest first."""
