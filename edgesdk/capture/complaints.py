"""What OpenCV, FFmpeg and GStreamer write on stderr, read for its meaning."""

from __future__ import annotations

import re

_BROKEN = re.compile(
    r"error while decoding|concealing \d+|decode_slice_header error|Invalid NAL unit|no frame!"
    r"|\[mjpeg.*(error|overread|invalid|EOI missing|bad|unable|only has)|corrupt"
    r"|Invalid data found when processing input|non-existing PPS|Error splitting the input",
    re.IGNORECASE,
)
_SECRET = re.compile(r"(//)[^/@\s]+@")
_WHERE = re.compile(r"^(\[[^]]*\]\s*)+(global\s+\S+\s+\S+\s+\S+\s+)?")
_LONGEST = 300


def without_password(text: str) -> str:
    """The text with user and password of each URI in it left out."""
    return _SECRET.sub(r"\1***@", text)


class Complaints:
    """Lines as they come in, in pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._broken = False
        self.last = ""
        """The last line, without a password; empty when nothing was written."""

    def hear(self, data: bytes) -> None:
        """Take in a piece of the output."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4 * _LONGEST :]
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text:
                self._broken = self._broken or bool(_BROKEN.search(text))
                self.last = without_password(_WHERE.sub("", text))[:_LONGEST]

    def take_broken(self) -> bool:
        """True when a decoder has complained since the last time this was asked."""
        broken, self._broken = self._broken, False
        return broken
