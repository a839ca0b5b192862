"""Sinks that draw and that collect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgesdk.errors import EdgeError, UsageError
from edgesdk.pipeline.packet import Event, Packet
from edgesdk.preprocess import Preprocess
from edgesdk.video import FOURCC, LEAST_ROOM_BYTES, VideoWriter

Draw: TypeAlias = Callable[[Packet], NDArray[np.uint8]]
"""Makes the picture to show for a packet; it may not write to the frame's own pixels."""


_log = logging.getLogger(__name__)


class VideoFile:
    """An annotated video, .mp4 or .webm; it takes its place when the run ends, however it ends.

    A picture of another size than the first, as from a camera that was set anew, is scaled into
    that one with black borders, and the first such is named in a warning. Only when the video
    itself fails, as on a full disk, nothing is left of it.
    """

    name = "video"

    def __init__(self, path: Path, fps: float | Callable[[], float], draw: Draw) -> None:
        """`fps` is the source's, or gives it once a frame is there. Raises UsageError for another
        kind of file."""
        if path.suffix.lower() not in FOURCC:
            raise UsageError(f"{path}: a video is written as {' or '.join(FOURCC)}")
        self._path = path
        self._fps = fps
        self._draw = draw
        self._writer: VideoWriter | None = None
        self._warned = False
        self._ended = False

    def accept(self, packet: Packet) -> None:
        """Draw and append one picture."""
        if self._ended:
            return
        picture = self._draw(packet)
        if self._writer is None:
            height, width = picture.shape[:2]
            fps = self._fps() if callable(self._fps) else self._fps
            self._writer = VideoWriter(self._path, fps, (width, height))
        if not self._writer.has_room():
            self._end(self._writer)
            return
        try:
            self._writer.write(self._fitted(picture, self._writer.size))
        except EdgeError:
            self._writer.discard()
            self._writer = None
            raise

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()

    def _end(self, writer: VideoWriter) -> None:
        """Complete what there is while the disk still takes its end."""
        self._ended, self._writer = True, None
        writer.close()
        _log.warning(
            "%s: the disk is nearly full (less than %d MB free): the video ends after %d frames,"
            " and the run goes on without it",
            *(self._path, LEAST_ROOM_BYTES >> 20, writer.frames),
        )

    def _fitted(self, picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        if (width, height) == size:
            return picture
        if not self._warned:
            _log.warning(
                "%s: a video has one size: it began with %dx%d, and pictures of %dx%d are scaled"
                " into it",
                *(self._path, *size, width, height),
            )
        self._warned = True
        return Preprocess(*size, pad_value=0).place(picture)[0]


class Collect:
    """Keeps every event in a list: for tests, and for runs that are short."""

    name = "collect"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def accept(self, packet: Packet) -> None:
        """Keep the events, not the pictures."""
        self.events.extend(packet.events)

    def tell(self, packet: Packet) -> None:
        """Keep these too."""
        self.accept(packet)

    def close(self) -> None:
        """There is nothing to complete."""
