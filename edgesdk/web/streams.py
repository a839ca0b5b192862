"""What is known of each stream: its frames, their age, and how its source stands."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from edgesdk.frames import Frame
from edgesdk.pipeline.protocols import Watched
from edgesdk.sinks.facts import StreamFacts
from edgesdk.web.words import without_secrets

RATE_WINDOW_S = 3.0
RECENT = 300
"""Frames over which the median and p95 are taken."""
SILENT_S = 3.0
"""Without a frame for so long, a source that says nothing of itself is called silent."""


@dataclass
class StreamFigures:
    """Counts of one stream, in bounded memory."""

    facts: StreamFacts
    opened_ns: int
    """Monotonic clock when it was first known."""
    size: tuple[int, int] = (0, 0)
    processed: int = 0
    missed: int = 0
    """Numbers of frames that did not come through: dropped by us, or lost before us."""
    totals: Counter[str] = field(default_factory=Counter)
    """Events by column of the table of counts."""
    _next_index: int = 0
    _done_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    _ages_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, frame: Frame, now_ns: int) -> None:
        """A frame of it has come through."""
        self.processed += 1
        self.missed += max(frame.index - self._next_index, 0)
        self._next_index = frame.index + 1
        self.size = (frame.width, frame.height)
        self._done_ns.append(now_ns)
        self._ages_ns.append(now_ns - frame.captured_ns)

    def fps(self, now_ns: int) -> float:
        """Frames a second over the last seconds."""
        recent = [t for t in self._done_ns if now_ns - t <= RATE_WINDOW_S * 1e9]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / ((recent[-1] - recent[0]) / 1e9 or 1e-9)

    def as_object(self, now_ns: int) -> dict[str, Any]:
        """For the page."""
        last_ns = self._done_ns[-1] if self._done_ns else None
        state = self._state(now_ns, last_ns)
        return {
            "name": without_secrets(self.facts.name),
            "size": self.size,
            "processed": self.processed,
            "dropped": max(self.missed - state.get("lost", 0), 0),
            "totals": dict(self.totals),
            "fps": round(self.fps(now_ns), 1),
            "age_ms": spread_ms(list(self._ages_ns)),
            "last_s": None if last_ns is None else round((now_ns - last_ns) / 1e9, 1),
            **state,
        }

    def _state(self, now_ns: int, last_ns: int | None) -> dict[str, Any]:
        source = self.facts.source
        if isinstance(source, Watched):
            stats = source.stats()
            return {
                "state": stats.state,
                "since_s": round((now_ns - (stats.since_ns or self.opened_ns)) / 1e9),
                "reconnects": stats.reconnects,
                "lost": stats.lost,
                "corrupt": stats.corrupt,
                "error": without_secrets(stats.last_error)[:200],
            }
        if last_ns is None:
            return {"state": "connecting", "since_s": round((now_ns - self.opened_ns) / 1e9)}
        silent = now_ns - last_ns > SILENT_S * 1e9
        began_ns = last_ns if silent else self.opened_ns
        since_s = round((now_ns - began_ns) / 1e9)
        return {"state": "silent" if silent else "streaming", "since_s": since_s}


def spread_ms(values_ns: list[int]) -> dict[str, float]:
    """Median and p95 (nearest rank) in ms; empty where there are no values."""
    if not values_ns:
        return {}
    ordered = sorted(values_ns)
    ranks = {"median": math.ceil(0.5 * len(ordered)), "p95": math.ceil(0.95 * len(ordered))}
    return {name: round(ordered[rank - 1] / 1e6, 2) for name, rank in ranks.items()}
