"""Hears an outside trigger: what is due by now, and whether it can be heard at all."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgesdk.errors import EdgeError

Fired = Callable[[], tuple[int, ...]]
"""Monotonic times in ns at which a trigger fired since the last call: `Trigger.fired`."""

_log = logging.getLogger(__name__)


class Ears:
    """Firings become due after a delay."""

    def __init__(self, fired: Fired, delay_ns: int) -> None:
        self._fired = fired
        self._delay_ns = delay_ns
        self.deaf = ""
        """Why the trigger cannot be read, in a sentence; empty: it can."""
        self.coming: tuple[int, ...] = ()
        """When firings that were heard will be due."""
        self._asked_ns: int | None = None
        self._before_ns: int | None = None

    def due(self, now_ns: int) -> list[int]:
        """Monotonic times at which parts were due since the last call."""
        self._before_ns, self._asked_ns = self._asked_ns, now_ns
        heard = [*self.coming, *(time_ns + self._delay_ns for time_ns in self._heard())]
        self.coming = tuple(time_ns for time_ns in heard if time_ns > now_ns)
        return [time_ns for time_ns in heard if time_ns <= now_ns]

    @property
    def missed_ns(self) -> tuple[int, int] | None:
        """From when to when parts may have been due, since the last call of `due`, whose firings
        were lost. None: never."""
        if not self.deaf or self._before_ns is None or self._asked_ns is None:
            return None
        return self._before_ns + self._delay_ns, self._asked_ns + self._delay_ns

    def _heard(self) -> tuple[int, ...]:
        try:
            fired = self._fired()
        except EdgeError as error:
            if not self.deaf:
                _log.warning("the trigger cannot be read, so parts fail as they pass: %s", error)
            self.deaf = error.message
            return ()
        if self.deaf:
            _log.warning("the trigger is read again")
            self.deaf = ""
        return fired
