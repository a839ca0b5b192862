"""A recording that is played as if it were a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgesdk.frames import Frame
from edgesdk.pipeline.protocols import Source, Unread


class Paced:
    """Gives the frames of another source at its own rate: each when its media time has come.

    So the policy "newest" can be tried on a file. When frames are taken late the next ones come at
    once, as from a camera whose frames waited in its buffer.
    """

    live = True

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = source.name
        self.fps = source.fps
        self.size = source.size
        self.count = source.count
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        start_ns: int | None = None
        for frame in self._source:
            now_ns = time.monotonic_ns()
            start_ns = now_ns - frame.time_ns if start_ns is None else start_ns
            if self._stopped.wait(max(start_ns + frame.time_ns - now_ns, 0) / 1e9):
                return
            yield replace(frame, captured_ns=time.monotonic_ns())

    @property
    def unread(self) -> Mapping[str, str]:
        """What the other source passed over, where it can say."""
        return self._source.unread if isinstance(self._source, Unread) else {}

    def stop(self) -> None:
        """End it, also while it waits for the next frame's time."""
        self._stopped.set()
        self._source.stop()

    def close(self) -> None:
        """Close the other source."""
        self._source.close()
