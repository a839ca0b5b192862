"""Order among threads that work at the same time: each waits for its turn to hand over."""

from __future__ import annotations

import threading


class Turns:
    """Numbers drawn in one order, and called in the same."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._drawn = 0
        self._called = 0
        self._broken = False
        self._changed = threading.Condition()

    def draw(self) -> int:
        """The next number. For one thread at a time, which has taken what the number is for."""
        self._drawn += 1
        return self._drawn - 1

    def come(self, turn: int) -> bool:
        """Wait until all turns before are over. False: one of them will never be."""
        with self._changed:
            self._changed.wait_for(lambda: self._broken or self._called == turn)
            return not self._broken

    def over(self) -> None:
        """The turn that was called is done; the next one may come."""
        with self._changed:
            self._called += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """No turn comes any more: whoever waits is let go."""
        with self._changed:
            self._broken = True
            self._changed.notify_all()

    def leave(self) -> bool:
        """A thread ends. True for the last one."""
        with self._changed:
            self._workers -= 1
            return self._workers == 0
