"""What OpenCV, FFmpeg and GStreamer write on stderr, read for its meaning."""

from __future__ import annotations

import re

from edgesdk.capture.uri import without_secrets

_FFMPEG = re.compile(r"^\[OPENCV:FFMPEG:(\d+)\]\s*(.*)")
_OTHERS = re.compile(
    r"^\[\s*(?:WARN|ERROR|FATAL)[^\]]*\]\s*(?:global\s+\S+\s+(?:\(\d+\)\s+)?)?(.*)"
    r"|^(\w*(?:Error|Exception): .*|OpenCV: .*)"
)
_SIZE = re.compile(r"^Reinit context to (\d+x\d+)")
_CONVERTS_ANEW = "deprecated pixel format used"
"""What FFmpeg's scaler writes as it is made for JPEG pictures, whose decoder names no size: OpenCV
makes one for the first picture, and another when the size or the kind of pixels changes."""
_GSTREAMER = re.compile(
    r"^.*GStreamer warning: Embedded video playback halted; module (\w+) reported: "
)
_ONLY_FOLLOWS = re.compile(
    r"can't be used to capture|pipeline have not been created|unable to start pipeline"
)
"""What OpenCV adds to an error that has been told; it says less than that one."""
_ERROR = 16
"""FFmpeg's AV_LOG_ERROR; smaller numbers are worse."""
_WARNING = 24
_LONGEST = 300


class Complaints:
    """Lines as they come in, in pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._broken = False
        self._size = ""
        self._resized = False
        self._frames = 0
        self.last = ""
        """The last warning or error since a frame came, without passwords; empty: none."""

    def hear(self, data: bytes) -> None:
        """Take in a piece of the output."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4 * _LONGEST :]
        for line in lines:
            self._read(line.decode(errors="replace").strip())

    def take_broken(self) -> bool:
        """A frame has come. True when FFmpeg has told of an error since the one before."""
        self._frames += 1
        broken, self._broken = self._broken, False
        self.last = ""  # It is not why the next one will be missing.
        return broken

    def take_resized(self) -> bool:
        """True when FFmpeg has told of another picture size: OpenCV goes on with the old one."""
        resized, self._resized = self._resized, False
        return resized

    def _read(self, line: str) -> None:
        if found := _FFMPEG.match(line):
            level, text = int(found[1]), found[2]
            self._broken = self._broken or level <= _ERROR
            if size := _SIZE.match(text):
                self._resized = self._resized or self._size not in ("", size[1])
                self._size = size[1]
            if text.startswith(_CONVERTS_ANEW):
                # What belongs to the first frame may be read after it, but not after the second.
                self._resized = self._resized or self._frames > 1
            elif level <= _WARNING and text:
                self._keep(text)
        elif found := _OTHERS.match(line):
            self._keep(found[1] or found[2] or "")

    def _keep(self, text: str) -> None:
        if text and not (self.last and _ONLY_FOLLOWS.search(text)):
            plain = _GSTREAMER.sub(r"\1: ", text)
            self.last = without_secrets(plain)[:_LONGEST]
