"""A thread that takes slow work off the pipeline's, in batches and in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from edgesdk.errors import EdgeError

T = TypeVar("T")


class Worker(Generic[T]):
    """Calls `handle` with what was put since the last call.

    Nothing is lost: `put` waits when `limit` things wait. An error of `handle` ends the thread and
    is raised in each `put` from then on, or in `close` if there is none.
    """

    def __init__(
        self, name: str, handle: Callable[[Sequence[T]], None], limit: int, pause_s: float = 0.0
    ) -> None:
        """`pause_s` is the shortest time from one call to the next, so that batches form."""
        self._handle = handle
        self._limit = limit
        self._pause_s = pause_s
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: Exception | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name=f"edgesdk-{name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over one thing."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or len(self._waiting) < self._limit)
            self._raise()
            self._waiting.append(item)
            self._changed.notify_all()

    def close(self, timeout_s: float) -> None:
        """Handle what waits, then end the thread. Raises EdgeError after `timeout_s`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise EdgeError(
                f"{self._thread.name}: {len(self._waiting)} things could not be written within"
                f" {timeout_s:g} s",
                "the disk hangs or is too slow for this",
            )
        if not self._told:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            self._told = True
            raise self._error

    def _run(self) -> None:
        last_s = 0.0
        while batch := self._next(last_s):
            try:
                self._handle(batch)
            except Exception as error:  # noqa: BLE001 - raised again in put or close
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            last_s = time.monotonic()

    def _next(self, last_s: float) -> list[T]:
        """What waits, once there is something and the pause is over; empty: the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            rest_s = last_s + self._pause_s - time.monotonic()
            self._changed.wait_for(
                lambda: self._closing or len(self._waiting) >= self._limit, max(rest_s, 0)
            )
            batch = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return batch
