"""What a capture process is told to open."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Literal

from edgesdk.capture.choice import Choice
from edgesdk.capture.uri import SourceUri


@dataclass(frozen=True)
class Opening:
    """One way to open one camera, stream or file, ready for cv2.VideoCapture."""

    target: str = field(repr=False)
    """URI, path or GStreamer pipeline, as cv2.VideoCapture takes it. It may hold a password."""
    api: Literal["any", "ffmpeg", "gstreamer", "v4l2", "images"] = "any"
    """Which part of OpenCV opens it."""
    live: bool = True
    """False for a file: its end is an end, not a failure."""
    properties: tuple[tuple[str, float], ...] = ()
    """Names of OpenCV's CAP_PROP_... and their values, given to it as it opens."""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables for the capture process, such as OPENCV_FFMPEG_CAPTURE_OPTIONS."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which each picture is turned, where the pipeline does not do it."""
    python: str = sys.executable
    """The interpreter whose OpenCV is used: the distribution's may have GStreamer where pip's has
    not. It needs OpenCV and NumPy, and nothing of edgesdk."""
    opener: str = ""
    """FILE:FUNCTION that opens `target` in the place of OpenCV. It gives an object with grab,
    retrieve, get, isOpened and release, like cv2.VideoCapture."""
    slots: int = 4
    """Pictures that fit in the memory shared with the capture process."""

    def variables(self) -> dict[str, str]:
        """The capture process's environment."""
        # FFmpeg's level 40 is the first that tells of a change of size; `Complaints` reads it.
        quiet = {"OPENCV_FFMPEG_LOGLEVEL": "40", "OPENCV_LOG_LEVEL": "WARNING"}
        return {**os.environ, **quiet, **dict(self.environment)}

    def order(self, keep: str) -> dict[str, object]:
        """The message that starts the capture process's work."""
        return {
            "kind": "open",
            "target": self.target,
            "api": self.api,
            "properties": self.properties,
            "stated": not self.live,
            "rotate": self.rotate,
            "opener": self.opener,
            "slots": self.slots,
            "keep": keep,
        }


def opening_of(uri: SourceUri, choice: Choice) -> Opening:
    """How `choice` is carried out in a capture process."""
    # OpenCV's own time-outs are only a net: the watchdog comes first, and says what happened.
    net_ms = 2.0 * uri.settings.watchdog_ms + 10_000
    return Opening(
        target=choice.opens,
        api=choice.reader,
        live=uri.live,
        properties=tuple(
            (name, net_ms if name.endswith("_TIMEOUT_MSEC") else value)
            for name, value in choice.properties
        ),
        environment=choice.environment,
        rotate=choice.rotation,
    )
