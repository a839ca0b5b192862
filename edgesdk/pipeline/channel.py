"""The bounded queue between a source's thread and the thread that works on its frames."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

from edgesdk.frames import Frame


class Channel:
    """A queue of frames for one writer and one reader.

    The writer holds it in a `with`: leaving that ends the stream, and an error that leaves it is
    kept for the reader, who meets it after the frames that came before.
    """

    def __init__(self, capacity: int, drop_oldest: bool) -> None:
        """When `capacity` frames wait: `drop_oldest` makes room, else `put` waits for it."""
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self.accepted = 0
        """Frames that the writer has put in."""
        self.dropped = 0
        """Frames that made room for newer ones."""

    def put(self, frame: Frame) -> bool:
        """Hand over a frame. False when the reader wants no more."""
        with self._changed:
            while self._full() and not self._drop_oldest and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            if self._full():
                self._frames.popleft()
                self.dropped += 1
            self._frames.append(frame)
            self.accepted += 1
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> Frame | None:
        """The next frame, None when none came in time or the stream is at its end.

        Raises the writer's error once the frames before it are taken.
        """
        with self._changed:
            if not self._frames and not self._ended:
                self._changed.wait(timeout_s)
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            if self._error is not None:
                raise self._error
            return None

    @property
    def exhausted(self) -> bool:
        """True when the writer has ended and nothing waits."""
        with self._changed:
            return self._ended and not self._frames and self._error is None

    def close(self) -> None:
        """The reader wants no more: a waiting writer is let go, and what waits is forgotten."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()

    def _full(self) -> bool:
        return len(self._frames) >= self._capacity

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()
        return True
