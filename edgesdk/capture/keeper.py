"""The thread that owns a camera's capture process: starts it, hears it, kills it, tries again."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from edgesdk.capture.child import POLITE_S, Child, News
from edgesdk.capture.ledger import Arrived, Ledger
from edgesdk.capture.opening import Opening
from edgesdk.capture.recovery import Machine, Recovery
from edgesdk.capture.stats import SourceStats, StateChange

UNSTATED_FPS = 25.0
"""Taken where a stream does not say how fast it is."""
Keep = Literal["newest", "all"]

LEVELS = {"frozen": logging.WARNING, "waiting": logging.WARNING, "failed": logging.ERROR}
"""States that are more than information."""

_log = logging.getLogger("edgesdk.capture")


class Keeper:
    """Keeps one camera running in a thread of its own, from `start` to `stop`."""

    def __init__(
        self, opening: Opening, recovery: Recovery, name: str, keep: Keep, loop: bool
    ) -> None:
        self._opening, self._name, self._keep, self._loop = opening, name, keep, loop
        self._changed = threading.Condition()
        self._machine = Machine(recovery, time.monotonic_ns, random.random, self._say)
        self._ledger = Ledger(opening.live)
        self._waiting: deque[Arrived] = deque()
        self._child: Child | None = None
        self._spare: Child | None = None
        self._stopping = False
        self._wake = -1
        self._thread = threading.Thread(target=self._run, name="edgesdk-camera", daemon=True)

    @property
    def started(self) -> bool:
        """True from `start` on."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Begin; a second time it does nothing."""
        with self._changed:
            if not self.started and not self._stopping:
                self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                self._thread.start()

    def wait(self, condition: Callable[[Ledger, Machine], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds or it is over; says whether it holds."""
        with self._changed:
            self._changed.wait_for(
                lambda: condition(self._ledger, self._machine) or self._over, timeout_s
            )
            return condition(self._ledger, self._machine)

    def next(self) -> Arrived | None:
        """Wait for the next frame; None when there will be none. The caller has to `take` it."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            return self._waiting.popleft() if self._waiting and not self._stopping else None

    def first(self) -> tuple[tuple[int, int], float]:
        """Size in pixels and frames per second, once a frame is here."""
        with self._changed:
            return self._ledger.size, self._ledger.fps or UNSTATED_FPS

    def stats(self) -> SourceStats:
        """How the camera stands."""
        with self._changed:
            return self._ledger.stats(self._machine)

    def stop(self) -> None:
        """Want no more; returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)
            if not self.started:
                self._machine.end("it was stopped")

    def join(self, within_s: float) -> bool:
        """Wait for the thread after `stop`; false when it still lives."""
        if self.started:
            self._thread.join(within_s)
        with self._changed:
            self._forget_waiting()
        return not self._thread.is_alive()

    def _forget_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft()
            self._ledger.superseded()

    @property
    def _over(self) -> bool:
        return self._stopping or self._machine.over

    def _run(self) -> None:
        why = "its thread ended by a defect"
        try:
            while not self._over:
                self._listen()
                self._act()
            why = "it was stopped"
        finally:
            self._end_process(POLITE_S)
            with self._changed:
                if self._stopping:
                    self._machine.end(why)
                    self._forget_waiting()
                else:
                    self._machine.fail(why)
                os.close(self._wake)
                self._wake = -1
                self._changed.notify_all()

    def _listen(self) -> None:
        """Wait for news, a stop or the next deadline, and take the news in."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._child is not None:
            poll.register(self._child.link, select.POLLIN)
            poll.register(self._child.talk, select.POLLIN)
        poll.poll(self._machine.wake_s() * 1000 + 1)
        if self._child is not None:
            child = self._child
            for news in child.news():
                self._take_in(child, news)
            self._follow_size(self._child)

    def _act(self) -> None:
        with self._changed:
            # One slot may be in the hands of whoever iterates.
            held = self._keep == "all" and len(self._waiting) >= self._opening.slots - 1
            action = self._machine.tick(held)
            self._changed.notify_all()
        if action == "open":
            self._open()
        elif action == "kill":
            reason = self._machine.history[-1].reason
            said = self._child.complaints.last if self._child else ""
            reason = f"{reason}: {said}" if said else reason
            if self._opening.live:
                self._lose(reason, polite_s=0.0)
            else:  # Opened again it would begin at its start, and every frame would come twice.
                self._fail(reason)

    def _open(self) -> None:
        self._ledger.new_process()
        spare, self._spare = self._spare, None
        try:
            self._child = spare or Child(self._opening)
            self._child.begin(self._keep)
        except (FileNotFoundError, PermissionError) as error:
            with self._changed:
                self._machine.fail(f"{self._opening.python} cannot be run: {error.strerror}")
        except OSError as error:  # no memory, too many processes: that may pass
            self._lose(f"no capture process can be started: {error.strerror}", polite_s=0.0)

    def _take_in(self, child: Child, news: News) -> None:
        if news.kind == "frame":
            self._take_frame(child, news)
        elif news.kind == "opened":
            with self._changed:
                self._ledger.fps = news.fps
        elif news.kind == "fatal":
            self._fail(news.reason)
        elif news.kind == "ended" and not self._opening.live:
            self._file_ended()
        elif news.kind in ("ended", "lost"):
            if self._opening.live:
                self._lose(news.reason, POLITE_S)
            else:
                self._fail(news.reason)

    def _take_frame(self, child: Child, news: News) -> None:
        with self._changed:
            arrived = self._ledger.arrived(news, child.complaints.take_broken())
            if self._keep == "newest":
                while self._waiting:
                    self._waiting.popleft().ready.drop()
                    self._ledger.superseded()
            self._waiting.append(arrived)
            self._machine.frame()
            self._changed.notify_all()

    def _follow_size(self, child: Child | None) -> None:
        """OpenCV's FFmpeg reader scales to the first size for ever: only a new one tells."""
        if child is not None and child.complaints.take_resized():
            self._end_process(POLITE_S)
            with self._changed:
                self._machine.again("the size of its pictures has changed")

    def _file_ended(self) -> None:
        self._end_process(POLITE_S)
        with self._changed:
            if self._loop:
                self._machine.again("at its end; it is played again")
            else:
                self._machine.end("at its end")

    def _lose(self, reason: str, polite_s: float) -> None:
        self._end_process(polite_s)
        with self._changed:
            self._machine.lost(reason)
        # The next process loads OpenCV while it waits, so that the next try begins at once.
        with contextlib.suppress(OSError):
            self._spare = Child(self._opening)

    def _fail(self, reason: str) -> None:
        self._end_process(POLITE_S)
        with self._changed:
            self._machine.fail(reason)

    def _end_process(self, polite_s: float) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(polite_s)
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.end(0.0)

    def _say(self, change: StateChange) -> None:
        level = LEVELS.get(change.state, logging.INFO)
        _log.log(level, "%s: %s: %s", self._name, change.state, change.reason)
