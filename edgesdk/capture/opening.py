"""What a capture process is told to open."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Literal


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
    """OpenCV's CAP_PROP_ names without that prefix, such as ("frame_width", 1280), set once it is
    open."""
    environment: tuple[tuple[str, str], ...] = ()
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

    def order(self, keep: str) -> dict[str, object]:
        """The message that starts the capture process's work."""
        quiet = {"OPENCV_FFMPEG_LOGLEVEL": "16", "OPENCV_LOG_LEVEL": "WARNING"}
        return {
            "kind": "open",
            "target": self.target,
            "api": self.api,
            "properties": self.properties,
            "environment": {**quiet, **dict(self.environment)},
            "rotate": self.rotate,
            "opener": self.opener,
            "slots": self.slots,
            "keep": keep,
        }
