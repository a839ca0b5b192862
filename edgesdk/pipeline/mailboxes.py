"""Bounded boxes between threads: one for each stream, and one reader who takes turns."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Box:
    """What becomes of things that nobody has taken yet."""

    capacity: int
    """So many may wait."""
    replace: bool = False
    """When it is full, the oldest makes room and is dropped; else the writer waits."""


class Mailboxes(Generic[T]):
    """Boxes that each have one writer, and that share one reader.

    Within a box the order is kept. The reader takes from the boxes in turn, so a stream that gives
    much does not keep others waiting. Nothing gets lost silently: what is not taken is told to
    `dropped`, or `put` says that it was not accepted.
    """

    def __init__(self, boxes: Sequence[Box], dropped: Callable[[T], None]) -> None:
        self._boxes = tuple(boxes)
        self._dropped = dropped
        self._waiting: tuple[deque[T], ...] = tuple(deque() for _ in boxes)
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._room = tuple(threading.Condition(self._lock) for _ in boxes)
        self._writing = set(range(len(boxes)))
        self._next = 0
        self._closed = False

    @property
    def writing(self) -> int:
        """How many boxes still have a writer."""
        return len(self._writing)

    def put(self, box: int, item: T) -> bool:
        """Hand over `item`. False when the reader wants no more: it is still the caller's."""
        rule, waiting, old = self._boxes[box], self._waiting[box], None
        with self._lock:
            while len(waiting) >= rule.capacity and not rule.replace and not self._closed:
                self._room[box].wait()
            if self._closed:
                return False
            if len(waiting) >= rule.capacity:
                old = waiting.popleft()
            waiting.append(item)
            self._filled.notify()
        if old is not None:
            self._dropped(old)
        return True

    def take(self, timeout_s: float | None = None) -> T | None:
        """The next thing, waited for until `timeout_s` is over (None: for ever).

        None when none came in time, when no writer is left and nothing waits, or after `close`.
        """
        give_up_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            while (box := self._turn()) is None:
                left_s = None if give_up_s is None else give_up_s - time.monotonic()
                if not self._writing or self._closed or (left_s is not None and left_s <= 0):
                    return None
                self._filled.wait(left_s)
            self._next = (box + 1) % len(self._boxes)
            item = self._waiting[box].popleft()
            self._room[box].notify()
            return item

    def end(self, box: int) -> None:
        """Its writer will put nothing more. Twice is harmless."""
        with self._lock:
            self._writing.discard(box)
            self._filled.notify()

    def close(self) -> None:
        """The reader wants no more: writers are let go, and what waits is dropped.

        Twice is harmless.
        """
        with self._lock:
            self._closed = True
            left = [item for waiting in self._waiting for item in waiting]
            for waiting in self._waiting:
                waiting.clear()
            self._filled.notify_all()
            for room in self._room:
                room.notify_all()
        for item in left:
            self._dropped(item)

    def _turn(self) -> int | None:
        """The first box from `_next` on in which something waits."""
        count = len(self._boxes)
        for step in range(count):
            box = (self._next + step) % count
            if self._waiting[box]:
                return box
        return None
