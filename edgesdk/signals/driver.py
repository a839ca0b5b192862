"""The thread behind a reject output: verdicts when they are due, else the safe state."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping

from edgesdk.errors import UsageError
from edgesdk.signals.schedule import Due, Levels, Schedule
from edgesdk.signals.wires import OutputOptions, Wire, WireLost, WireRefused
from edgesdk.sinks.backoff import BackOff

RECONNECT_S = 2.0
"""Longest pause between attempts: every part meanwhile fails safe."""

_log = logging.getLogger(__name__)


class Driver:
    """The thread that gives verdicts when their parts are due."""

    def __init__(self, wire: Wire, options: OutputOptions) -> None:
        self._wire = wire
        self._schedule = Schedule(options.rule)
        self._heartbeat_ns = round(options.heartbeat_s * 1e9)
        self._dead_ns = round(options.dead_after_s * 1e9)
        self._back_off = BackOff(0.1, RECONNECT_S)
        self._changed = threading.Condition()
        self._fresh: deque[Due] = deque()
        self._fresh_unseen: deque[tuple[int, int]] = deque()
        self._closing = False
        self._defect: Exception | None = None
        self._alive_ns: int | None = None
        """When the last packet came."""
        self._known_until_ns: int | None = None
        """From then on the ejector is at what no frame has shown."""
        self._said: Levels | None = None
        self._beat = False
        self._beat_ns = 0
        self._connected = False
        self._down_said = False
        self._connections = self._given = self._failed_safe = self._late = self._slow = 0
        self._unseen = 0
        self._episode = 0
        """Parts that failed safe since verdicts were last given."""
        self._first_connect()
        self._thread = threading.Thread(target=self._run, name="edgesdk-output", daemon=True)
        self._thread.start()

    def hand_over(
        self,
        dues: list[Due],
        now_ns: int,
        known_until_ns: int | None = None,
        unseen_ns: tuple[int, int] | None = None,
    ) -> None:
        """Verdicts of one packet, which also says that the pipeline is alive.

        Until `known_until_ns` the ejector is at what frames have shown, None: while it is alive.
        From the one to the other of `unseen_ns` it will be at what none has.
        """
        with self._changed:
            if self._defect is not None:
                raise self._defect
            self._alive_ns, self._known_until_ns = now_ns, known_until_ns
            if unseen_ns is not None:
                self._fresh_unseen.append(unseen_ns)
            if dues or unseen_ns is not None:
                self._fresh.extend(dues)
                self._changed.notify_all()

    def close(self, within_s: float) -> None:
        """End the thread, which takes the safe state."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(within_s + 1.0)
        if self._thread.is_alive():
            _log.warning("%s did not end in time; left behind", self._wire.shown)
        if self._failed_safe:
            _log.warning(
                "%s: parts that failed safe: %d, because their verdict was late: %d, because the"
                " output was: %d; verdicts given: %d",
                *(self._wire.shown, self._failed_safe, self._late, self._slow, self._given),
            )
        if self._unseen:
            _log.warning(
                "%s: %d times it was not known what was at the ejector",
                *(self._wire.shown, self._unseen),
            )

    def gauges(self) -> Mapping[str, float]:
        """Figures by name; for any thread."""
        return {
            "connected": float(self._connected),
            "connections": self._connections,
            "safe_state": float(not self._schedule.trusted),
            "given": self._given,
            "failed_safe": self._failed_safe,
            "late": self._late,
            "slow": self._slow,
            "unseen": self._unseen,
            "waiting": len(self._fresh) + self._schedule.waiting,
        }

    def _run(self) -> None:
        try:
            while not self._closing:
                if self._connected or self._reconnect():
                    self._turn()
        except Exception as error:  # noqa: BLE001 - raised again in hand_over
            self._defect = error
        finally:
            self._leave()

    def _turn(self) -> None:
        """Give what is due, keep the heart beating, and wait for what comes next."""
        try:
            self._check_alive()
            while (due := self._schedule.take(time.monotonic_ns())) is not None:
                self._give(due)
            self._say(time.monotonic_ns())
        except WireLost as error:
            self._lose(error)
        else:
            self._wait(self._next_ns())

    def _give(self, due: Due) -> None:
        """One verdict in time, or none."""
        now_ns = time.monotonic_ns()
        if self._schedule.too_late(due, now_ns):
            self._fail_late(due, now_ns)
            return
        if self._schedule.is_unseen(now_ns) and not due.reject:
            self._fail(due, "it is at the ejector among parts that nobody knows of")
            return
        self._schedule.give(due, now_ns)
        try:
            self._say(now_ns)
        except WireLost:
            self._fail(due, "the connection was lost")
            raise
        if self._schedule.too_late(due, time.monotonic_ns()):
            self._fail(due, "the wire was too slow")
            self._slow += 1
            return
        self._given += 1
        if self._episode:
            _log.warning(
                "%s: verdicts are given again from part %d on; parts failed safe before it: %d",
                *(self._wire.shown, due.part, self._episode),
            )
            self._episode = 0

    def _say(self, now_ns: int) -> None:
        """Write what has changed by then, and all of it at each heartbeat."""
        said = self._said
        if now_ns >= self._beat_ns:
            self._beat ^= self._alive(now_ns)
            self._beat_ns = now_ns + self._heartbeat_ns
            said = None
        levels = self._schedule.levels(now_ns, self._beat)
        if levels != said:
            self._wire.write(levels, said)
            self._said = levels

    def _fail_late(self, due: Due, now_ns: int) -> None:
        """Whose fault it is: the verdict's, or that of the thread and its wire."""
        late_ms = (now_ns - due.at_ns) / 1e6
        if self._schedule.too_late(due, due.told_ns):
            self._fail(due, f"its verdict came too late; it was due {late_ms:.0f} ms ago")
            self._late += 1
        else:
            self._fail(due, f"its verdict came in time, but the output is {late_ms:.0f} ms late")
            self._slow += 1

    def _check_alive(self) -> None:
        """Without frames nothing is known, and so nothing of the parts on their way."""
        now_ns = time.monotonic_ns()
        if not self._relied_on:
            return
        if self._alive(now_ns):
            if self._known_until_ns is not None and now_ns >= self._known_until_ns:
                self._take_unseen()
            return
        _log.warning("%s: no frame for %g s: safe state", self._wire.shown, self._dead_ns / 1e9)
        for due in self._schedule.forget():
            self._fail(due, "no frame comes")

    def _take_unseen(self) -> None:
        """The ejector is at what no frame has shown: the safe state, until a verdict is due."""
        self._unseen += 1
        if self._unseen == 1:
            _log.warning(
                "%s: no frame has shown what is at the ejector now: safe state", self._wire.shown
            )
        for due in self._schedule.forget():
            self._fail(due, "no frame comes")

    @property
    def _relied_on(self) -> bool:
        """Whether the wire says, or is about to say, what the pipeline knows."""
        return self._schedule.trusted or self._schedule.waiting > 0

    def _alive(self, now_ns: int) -> bool:
        return self._alive_ns is not None and now_ns - self._alive_ns < self._dead_ns

    def _fail(self, due: Due, why: str) -> None:
        """Count one part as failed safe, and take the safe state until the next that is in time."""
        self._schedule.distrust()
        self._failed_safe += 1
        self._episode += 1
        if self._episode == 1:
            _log.warning("%s: part %d failed safe: %s", self._wire.shown, due.part, why)

    def _next_ns(self) -> int:
        """When the thread has something to do, whatever comes."""
        moments = [self._beat_ns, self._schedule.change_ns(time.monotonic_ns())]
        if self._relied_on and self._alive_ns is not None:
            moments.append(self._alive_ns + self._dead_ns)
            moments.append(self._known_until_ns)
        return min(moment for moment in moments if moment is not None)

    def _wait(self, until_ns: int) -> None:
        """Sleep until then, until a verdict comes, or until the end."""
        rest_s = max(until_ns - time.monotonic_ns(), 0) / 1e9
        with self._changed:
            self._changed.wait_for(
                lambda: self._fresh or self._fresh_unseen or self._closing, rest_s
            )
        self._collect()

    def _collect(self) -> None:
        """Put what is fresh into the schedule."""
        with self._changed:
            while self._fresh:
                self._schedule.add(self._fresh.popleft())
            while self._fresh_unseen:
                self._unseen += self._schedule.leave_unseen(*self._fresh_unseen.popleft())

    def _first_connect(self) -> None:
        try:
            self._open()
        except WireRefused as error:
            self._wire.close()
            raise UsageError(error.message, error.hint) from error
        except WireLost as error:
            self._lose(error)

    def _reconnect(self) -> bool:
        """One attempt, after the pause that the last failure earned."""
        until_ns = time.monotonic_ns() + round(self._back_off.next_s() * 1e9)
        while not self._closing and time.monotonic_ns() < until_ns:
            self._wait(until_ns)
        if self._closing:
            return False
        try:
            self._open()
        except WireLost as error:
            self._lose(error)
        while (due := self._schedule.take(time.monotonic_ns())) is not None:
            self._fail(due, "there was no connection")
        return self._connected

    def _open(self) -> None:
        """Connect; the first thing that is said is the safe state."""
        levels = self._schedule.levels(time.monotonic_ns(), self._beat)
        self._wire.connect(levels)
        self._said = levels
        self._connected = True
        self._connections += 1
        self._back_off.reset()
        if self._down_said:
            _log.warning("%s: connected again", self._wire.shown)
        self._down_said = False

    def _lose(self, error: WireLost) -> None:
        self._schedule.distrust()
        self._connected = False
        self._said = None
        self._wire.close()
        if not self._down_said:
            _log.warning("%s: %s; trying again", self._wire.shown, error.message)
        self._down_said = True

    def _leave(self) -> None:
        """The safe state is the last thing that is said."""
        self._collect()
        for due in self._schedule.forget():
            self._fail(due, "the run ended before it was due")
        levels = self._schedule.levels(time.monotonic_ns(), self._beat)
        try:
            if self._connected:
                self._wire.write(levels, None)
            else:
                self._wire.connect(levels)
        except WireLost as error:
            _log.warning(
                "%s: the safe state could not be said at the end (%s); whoever watches the"
                " heartbeat has to take it",
                *(self._wire.shown, error.message),
            )
        finally:
            self._connected = False
            self._wire.close()
