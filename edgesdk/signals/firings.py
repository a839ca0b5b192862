"""What every trigger has: firings that wait to be asked for; and edges and counts that fire."""

from __future__ import annotations

import threading

from edgesdk.errors import EdgeError

LEAP = 1000
"""A counter that goes on by more between two readings was reset, and counted no parts."""


class TriggerLost(EdgeError):
    """The input cannot be read just now; it is tried again."""


class Firings:
    """Times at which a trigger fired, from its thread to whoever asks."""

    def __init__(self, name: str) -> None:
        """Nothing can be read before the first `find`."""
        self._lock = threading.Lock()
        self._times_ns: list[int] = []
        self._lost: EdgeError | None = TriggerLost(f"{name}: not connected yet")
        self._untold: EdgeError | None = None

    def add(self, *times_ns: int) -> None:
        """It fired, in order."""
        with self._lock:
            self._times_ns.extend(times_ns)

    def lose(self, error: EdgeError) -> None:
        """It cannot be read from now on."""
        with self._lock:
            self._lost = self._untold = error

    def find(self) -> None:
        """It can be read again."""
        with self._lock:
            self._lost = None

    def take(self) -> tuple[int, ...]:
        """All since the last call. Then it raises while the input is lost, and once for a loss that
        is over already: parts may have gone by meanwhile."""
        with self._lock:
            times_ns, self._times_ns = tuple(self._times_ns), []
            error = self._untold or self._lost
            if times_ns or error is None:
                return times_ns
            self._untold = None
            raise TriggerLost(error.message, error.hint)


class Edges:
    """Finds the edges of a level that is read again and again."""

    def __init__(self, rising: bool, debounce_ns: int) -> None:
        """Within `debounce_ns` of one edge others are bounces."""
        self._rising = rising
        self._debounce_ns = debounce_ns
        self._level: bool | None = None
        self._read_ns = 0
        self._fired_ns: int | None = None

    def read(self, value: int, now_ns: int) -> tuple[int, ...]:
        """The edge since the last reading, stamped in the middle between both; the first reading
        after `forget` has none."""
        level, before, before_ns = bool(value), self._level, self._read_ns
        self._level, self._read_ns = level, now_ns
        if before is None or level == before or level != self._rising:
            return ()
        at_ns = (before_ns + now_ns) // 2
        if self._fired_ns is not None and at_ns - self._fired_ns < self._debounce_ns:
            return ()
        self._fired_ns = at_ns
        return (at_ns,)

    def forget(self) -> None:
        """What was before is not known any more."""
        self._level = None


class Count:
    """Finds the parts that a 16-bit counter has counted between two readings."""

    def __init__(self) -> None:
        self._value: int | None = None
        self._read_ns = 0

    def read(self, value: int, now_ns: int) -> tuple[int, ...]:
        """As many times as it has gone on, spread evenly between both readings.

        Raises EdgeError when it has gone on by more than `LEAP`, or back: it was reset.
        """
        before, before_ns = self._value, self._read_ns
        self._value, self._read_ns = value, now_ns
        parts = 0 if before is None else (value - before) % 65536
        if parts > LEAP:
            raise EdgeError(
                f"the counter went from {before} to {value}: it was reset, and parts may be missing"
            )
        step_ns = (now_ns - before_ns) / max(parts, 1)
        return tuple(round(before_ns + (i + 0.5) * step_ns) for i in range(parts))

    def forget(self) -> None:
        """The time of what was counted since the last reading is not known: no part is fired."""
        self._value = None
