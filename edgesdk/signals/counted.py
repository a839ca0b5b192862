"""A trigger with its books: how often it fired, and how often it could not be read."""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk.errors import EdgeError
from edgesdk.signals.trigger import Trigger


class CountedTrigger:
    """A Trigger around another one. One thread asks it; any may read its figures."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._fired = self._losses = 0
        self._readable = True

    @property
    def name(self) -> str:
        """Of the trigger."""
        return self._trigger.name

    def fired(self) -> tuple[int, ...]:
        """As the trigger's."""
        try:
            times_ns = self._trigger.fired()
        except EdgeError:
            self._losses += self._readable
            self._readable = False
            raise
        self._readable = True
        self._fired += len(times_ns)
        return times_ns

    def gauges(self) -> Mapping[str, float]:
        """How often it fired, how often it was lost, and whether it can be read now."""
        return {"fired": self._fired, "losses": self._losses, "readable": float(self._readable)}

    def close(self) -> None:
        """Let go of the input."""
        self._trigger.close()
