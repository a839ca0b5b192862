"""Pictures for viewers: one is kept for each stream, and encoded only while somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.sinks import Draw

STILL_S = 1.0
"""How often a picture is kept while nobody looks, for who comes when the source stands still."""
QUALITY = 80

Picture = NDArray[np.uint8]


@dataclass
class Slot:
    """The newest picture of one stream."""

    picture: Picture | None = None
    """Waits to be encoded, or for a viewer; whoever replaces it loses nothing but an old one."""
    due_ns: int = 0
    """Monotonic clock when the next picture is wanted."""
    watched: bool = False
    encoded: bool = False
    """True when viewers already have `picture`."""


class Pictures:
    """Takes annotated pictures and gives JPEGs, from a thread of its own.

    `offer` is called by the pipeline: it draws when a picture is due and never waits for the
    encoder, which takes the newest and may be as slow as it likes.
    """

    def __init__(
        self, draw: Draw, fps: float, width_px: int, publish: Callable[[int, bytes], None]
    ) -> None:
        """`publish(stream, jpeg)` is called in the encoder's thread; it may not wait."""
        self._cv2 = require("cv2", "show pictures on a web page")
        _load_font(self._cv2)
        self._draw = draw
        self._between_ns = round(1e9 / fps)
        self._width_px = width_px
        self._publish = publish
        self._slots: dict[int, Slot] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.encoded = 0
        """Pictures that were encoded, for all viewers together."""
        self._thread = threading.Thread(target=self._work, name="edgesdk-web-pictures", daemon=True)

    def start(self) -> None:
        """Begin to encode."""
        self._thread.start()

    def offer(self, stream: int, packet: Packet) -> None:
        """Keep a picture of the packet if one is due."""
        now_ns = time.monotonic_ns()
        with self._changed:
            slot = self._slots.setdefault(stream, Slot())
            wait_ns = self._between_ns if slot.watched else round(STILL_S * 1e9)
            if now_ns < slot.due_ns:
                return
            # From one due time to the next, so that 12 a second of 25 are 12 and not 25/3.
            slot.due_ns = max(slot.due_ns + wait_ns, now_ns + wait_ns // 2)
        picture = self._draw(packet)
        if np.may_share_memory(picture, packet.frame.image):
            picture = picture.copy()  # the frame's own pixels may be reused after this
        with self._changed:
            slot.picture, slot.encoded = picture, False
            self._changed.notify()

    def watch(self, stream: int, watched: bool) -> None:
        """Somebody looks at the stream, or nobody any more."""
        with self._changed:
            slot = self._slots.setdefault(stream, Slot())
            if watched and not slot.watched:
                slot.encoded = False  # what is kept is newer than what the last viewer had
                slot.due_ns = 0
            slot.watched = watched
            self._changed.notify()

    def close(self, timeout_s: float) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and self._due() is None:
                    self._changed.wait()
                if self._closed:
                    return
                stream = self._due()
                assert stream is not None
                slot = self._slots.pop(stream)
                self._slots[stream] = slot  # to the end of the queue: each stream has its turn
                picture, slot.encoded = slot.picture, True
            assert picture is not None
            self._publish(stream, self._encode(picture))

    def _due(self) -> int | None:
        for stream, slot in self._slots.items():
            if slot.watched and slot.picture is not None and not slot.encoded:
                return stream
        return None

    def _encode(self, picture: Picture) -> bytes:
        cv2 = self._cv2
        height, width = picture.shape[:2]
        if width > self._width_px:
            size = (self._width_px, max(round(height * self._width_px / width), 1))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        self.encoded += 1
        return bytes(data)


def _load_font(cv2: ModuleType) -> None:
    """OpenCV reads its font at the first text, which takes longer than a frame: not in the run."""
    cv2.putText(np.zeros((32, 32, 3), np.uint8), "0", (0, 20), 0, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
