"""A camera or stream as a source that keeps running."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from edgesdk.capture.choice import choose
from edgesdk.capture.keeper import Keep, Keeper
from edgesdk.capture.opening import Opening, opening_of
from edgesdk.capture.recovery import Recovery
from edgesdk.capture.settings import CaptureSettings
from edgesdk.capture.stats import SourceStats
from edgesdk.capture.uri import SourceUri, without_secrets
from edgesdk.errors import DataError
from edgesdk.frames import Frame

FOR_EVER_S = 1e9
"""No longer wait can be asked of a lock."""
CLOSE_S = 4.0
"""How long `close` may take: a polite end, a kill, and some air."""

_log = logging.getLogger("edgesdk.capture")


def open_camera(
    uri: SourceUri,
    recovery: Recovery | None = None,
    keep: Keep = "newest",
    loop: bool = False,
) -> Camera:
    """The camera, stream or video file that `uri` names, opened by what this machine has.

    Where the URI states `watchdog_ms`, that is `freeze_s`. Raises DataError when this machine
    cannot open such a source; whether it answers is seen when its size or first frame is asked for.
    """
    choice = choose(uri, newest=uri.live and keep == "newest")
    asked = recovery or Recovery()
    if uri.settings.watchdog_ms != CaptureSettings.watchdog_ms:
        asked = asked.with_freeze(uri.settings.watchdog_ms / 1000)
    return Camera(opening_of(uri, choice), asked, uri.shown, keep, loop)


class Camera:
    """Frames of a camera that may hang, vanish and come back; it is read in a process of its own.

    It starts with `start`, or when its size, its rate or its first frame is asked for. With `keep`
    "newest" whoever iterates gets the newest frame, and older ones are counted in
    `stats().dropped_at_source`; with "all" each frame, and the camera waits (a live one then loses
    frames in its own buffers).
    """

    count: int | None = None

    def __init__(
        self,
        opening: Opening,
        recovery: Recovery | None = None,
        name: str = "",
        keep: Keep = "newest",
        loop: bool = False,
    ) -> None:
        """`name` is for messages: never with a password. `loop`: a file begins again at its end."""
        self.name = without_secrets(name or opening.target)
        self.live = opening.live
        self._recovery = recovery or Recovery()
        self._keeper = Keeper(opening, self._recovery, self.name, keep, loop)
        self._fps = 0.0
        self._size = (0, 0)
        self._started_s: float | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin now and return at once, so that several cameras open at the same time.

        `Recovery.start_s` counts from here.
        """
        if self._started_s is None:
            self._started_s = time.monotonic()
        self._keeper.start()

    @property
    def decided(self) -> bool:
        """True once `size` does not wait: the first picture is here, or there will be none."""
        first = self._keeper.wait(lambda ledger, _: ledger.size != (0, 0), 0.0)
        return first or self.stats().state in ("ended", "failed")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the first picture, which is waited for.

        Raises DataError when none comes within `Recovery.start_s`.
        """
        self._wait_for_first()
        return self._size

    @property
    def fps(self) -> float:
        """Frames per second as the stream states them, 25 where it does not; waits like `size`."""
        self._wait_for_first()
        return self._fps

    def __iter__(self) -> Iterator[Frame]:
        """The frames until `stop`, or until a file ends.

        Raises DataError when the first does not come within `Recovery.start_s`, and when there is
        no use in trying again.
        """
        try:
            self._wait_for_first()
        except DataError:
            if self._stopped:  # Nobody wants it any more.
                return
            raise
        while (arrived := self._keeper.next()) is not None:
            image = arrived.ready.take()
            yield Frame(image, arrived.index, arrived.time_ns, arrived.ready.captured_ns, self.name)
        self._raise_if_failed()

    def stats(self) -> SourceStats:
        """How it stands; it never waits for the camera."""
        return self._keeper.stats()

    def stop(self) -> None:
        """End the iteration, whatever the camera does; returns at once."""
        self._stopped = True
        self._keeper.stop()

    def close(self) -> None:
        """Stop, end the process and join the thread, within CLOSE_S. Twice is harmless."""
        self._keeper.stop()
        if not self._keeper.join(CLOSE_S):
            _log.error("%s: its thread did not end within %g s", self.name, CLOSE_S)

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wait_for_first(self) -> None:
        if self._size != (0, 0):
            return
        self.start()
        limit_s = self._recovery.start_s
        gone_s = time.monotonic() - (self._started_s or 0.0)
        wait_s = min(max(limit_s - gone_s, 0.0), FOR_EVER_S)
        if not self._keeper.wait(lambda ledger, _: ledger.size != (0, 0), wait_s):
            stats = self._keeper.stats()
            self.close()
            self._raise_if_failed()
            if stats.state == "ended":
                raise DataError(f"{self.name}: it ended or was stopped before its first picture")
            raise DataError(
                f"{self.name}: no picture within {limit_s:g} s ({stats.last_error or stats.state})",
                "check the address, user and password, and whether the camera is on",
            )
        self._size, self._fps = self._keeper.first()

    def _raise_if_failed(self) -> None:
        stats = self._keeper.stats()
        if stats.state == "failed":
            raise DataError(f"{self.name}: {stats.last_error}")
