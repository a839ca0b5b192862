"""When a wire changes: pure arithmetic on the monotonic clock, without threads or wires."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

READY_NS = 20_000_000
"""How long "ready" stands where verdicts are held instead of pulsed: two scans of a usual PLC."""


@dataclass(frozen=True)
class Levels:
    """What an output's wires say at one moment."""

    reject: bool
    """The part at the ejector is to be taken out."""
    passed: bool = False
    """It is to go on. Neither of the two: no part is there, or nothing is known of it."""
    ready: bool = False
    """`reject` and `passed` are a verdict that a PLC may take."""
    beat: bool = False
    """Changes at each heartbeat."""
    number: int = 0
    """Of the last part, 1 to 65535 and then from 1 again; 0: the safe state, nothing is known."""


@dataclass(frozen=True, order=True)
class Due:
    """One part on its way to the ejector."""

    at_ns: int
    """Monotonic clock when it is there."""
    part: int
    """0-based number within the run."""
    reject: bool
    told_ns: int = field(default=0, compare=False)
    """When its verdict was there."""


@dataclass(frozen=True)
class Rule:
    """How verdicts become levels."""

    pulse_ns: int
    """How long a verdict stands; 0: until the next."""
    tolerance_ns: int
    """A verdict that comes later than this after its part was due is not given any more."""
    idle_reject: bool
    """Between parts: True is a gate that opens for each good part, False an ejector that pushes
    each bad one."""
    safe_reject: bool
    """What is said while nothing is known."""


class Schedule:
    """Parts that are due, and the levels that follow from them.

    It begins in the safe state and leaves it when a part is due whose verdict is there in time.
    Where verdicts overlap, a reject wins.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.trusted = False
        """False: the safe state is taken."""
        self._waiting: list[Due] = []
        self._last: Due | None = None
        self._unseen: list[tuple[int, int]] = []
        self._reject_until_ns = self._pass_until_ns = self._ready_until_ns = 0

    @property
    def waiting(self) -> int:
        """Parts that are judged and not due yet."""
        return len(self._waiting)

    def add(self, due: Due) -> None:
        """One more verdict."""
        heapq.heappush(self._waiting, due)

    def leave_unseen(self, from_ns: int, to_ns: int) -> bool:
        """At the ejector there may be parts then that nobody knows of: the safe state is taken for
        that time, and known rejects are given in it. True: it does not go on from the last such
        time."""
        if self._unseen and self._unseen[-1][0] <= from_ns <= self._unseen[-1][1]:
            self._unseen[-1] = (self._unseen[-1][0], max(to_ns, self._unseen[-1][1]))
            return False
        self._unseen.append((from_ns, to_ns))
        return True

    def is_unseen(self, now_ns: int) -> bool:
        """Whether that is so now."""
        self._unseen = [(start, end) for start, end in self._unseen if end > now_ns]
        return any(start <= now_ns for start, _ in self._unseen)

    def take(self, now_ns: int) -> Due | None:
        """The next part that is due by now, in the order of time; None: there is none."""
        due = self._waiting and self._waiting[0].at_ns <= now_ns
        return heapq.heappop(self._waiting) if due else None

    def too_late(self, due: Due, now_ns: int) -> bool:
        """Whether `due` can no longer be given: its part has gone by."""
        return now_ns - due.at_ns > self.rule.tolerance_ns

    def give(self, due: Due, now_ns: int) -> None:
        """Say what is known of a part that is due, for a whole pulse from now on. The safe state
        ends."""
        until_ns = now_ns + self.rule.pulse_ns
        self.trusted, self._last = True, due
        self._ready_until_ns = until_ns if self.rule.pulse_ns else now_ns + READY_NS
        if due.reject:
            self._reject_until_ns = max(self._reject_until_ns, until_ns)
        else:
            self._pass_until_ns = max(self._pass_until_ns, until_ns)

    def distrust(self) -> None:
        """Take the safe state until the next part that is due; what waits stays."""
        self.trusted = False
        self._reject_until_ns = self._pass_until_ns = self._ready_until_ns = 0

    def forget(self) -> list[Due]:
        """Take the safe state and let go of what waits, which is returned."""
        self.distrust()
        waiting, self._waiting = sorted(self._waiting), []
        return waiting

    def levels(self, now_ns: int, beat: bool = False) -> Levels:
        """What the wires should say now."""
        if not self.trusted or self._last is None or self.is_unseen(now_ns):
            return Levels(self.rule.safe_reject or now_ns < self._reject_until_ns, beat=beat)
        number = self._last.part % 65535 + 1
        ready = now_ns < self._ready_until_ns
        if not self.rule.pulse_ns:
            return Levels(self._last.reject, not self._last.reject, ready, beat, number)
        if now_ns < self._reject_until_ns:
            return Levels(True, False, ready, beat, number)
        if now_ns < self._pass_until_ns:
            return Levels(False, True, ready, beat, number)
        return Levels(self.rule.idle_reject, False, False, beat, number)

    def change_ns(self, now_ns: int) -> int | None:
        """The next moment after `now_ns` at which levels or parts change; None: none is known."""
        ends = (self._reject_until_ns, self._pass_until_ns, self._ready_until_ns)
        edges = (edge for unseen in self._unseen for edge in unseen)
        later = [end for end in (*ends, *edges) if end > now_ns]
        if self._waiting:
            later.append(self._waiting[0].at_ns)
        return min(later, default=None)
