"""`snapshots:DIR?on=event&every=10s&max=1000&quality=90`: annotated pictures as JPEG files."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk._files import clear_abandoned, write_atomic
from edgesdk._optional import require
from edgesdk.errors import EdgeError
from edgesdk.pipeline.packet import Packet, wall_time
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.messages import stream_of
from edgesdk.sinks.places import check_folder_place
from edgesdk.sinks.uri import SinkUri, hide_password
from edgesdk.sinks.worker import Worker

WAITING = 4
"""Pictures that may wait to be written; then the pipeline waits."""
CLOSE_S = 10.0
QUIET_S = 60.0
"""Between two warnings of a disk that takes no picture."""
OURS = "[0-9]*T*Z_*_[0-9]*.jpg"
"""Names of the files that are counted and removed; others in the folder stay."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotOptions:
    """What may stand after the "?"."""

    on: str = "event"
    """event: frames that have one; time: frames at the pace of `every`."""
    every_s: float = 0.0
    """Shortest media time between two pictures of a stream; 0: 10 s with on=time, else any."""
    max: int = 1000
    """Pictures in the folder; the oldest make room."""
    quality: int = 90
    """JPEG quality, 1 to 100."""

    def __post_init__(self) -> None:
        if self.on not in ("event", "time"):
            raise ValueError(f"on should be event or time, found {self.on!r}")
        if self.max < 1 or not 1 <= self.quality <= 100:
            raise ValueError("max should be at least 1, and quality 1 to 100")


@dataclass(frozen=True, eq=False)
class _Picture:
    name: str
    image: NDArray[np.uint8]


def make_sink(uri: SinkUri, facts: SinkFacts) -> Snapshots:
    """The folder is made with the first picture; whether it can be is asked now."""
    options = uri.options(SnapshotOptions)
    require("cv2", "write pictures")
    check_folder_place(uri.path)
    clear_abandoned(uri.path)
    return Snapshots(uri.name, uri.path, options, facts)


class Snapshots:
    """Files named by time, stream and frame: their names sort by age.

    A picture that cannot be written, as on a full disk, is counted and left out.
    """

    def __init__(self, name: str, folder: Path, options: SnapshotOptions, facts: SinkFacts) -> None:
        self.name = name
        self._folder = folder
        self._options = options
        self._draw = facts.draw
        self._only = facts.streams[0].name if len(facts.streams) == 1 else ""
        self._every_ns = round((options.every_s or (10.0 * (options.on == "time"))) * 1e9)
        self._last_ns: dict[str, int] = {}
        self._files = deque(sorted(folder.glob(OURS)))
        self._cv2: Any = require("cv2", "write pictures")
        self._written = 0
        self._dropped = 0
        self._quiet_until_s = 0.0
        self._worker = Worker(name, self._write, WAITING)

    def accept(self, packet: Packet) -> None:
        """Draw and hand over the picture, when it is one to keep."""
        stream = stream_of(packet, self._only)
        if not self._due(stream, packet):
            return
        self._last_ns[stream] = packet.frame.time_ns
        name = f"{_stamp(packet)}_{_fit(stream)}_{packet.frame.index:08d}.jpg"
        self._worker.put(_Picture(name, self._draw(packet)))

    def close(self) -> None:
        """Write what waits."""
        self._worker.close(CLOSE_S)

    def gauges(self) -> Mapping[str, float]:
        """Pictures written, and those that the disk did not take."""
        return {"written": self._written, "dropped": self._dropped}

    def _due(self, stream: str, packet: Packet) -> bool:
        if self._options.on == "event" and not packet.events:
            return False
        last_ns = self._last_ns.get(stream)
        # A clock that was set back counts as time gone by.
        return last_ns is None or abs(packet.frame.time_ns - last_ns) >= self._every_ns

    def _write(self, pictures: Sequence[_Picture]) -> None:
        for picture in pictures:
            quality = [self._cv2.IMWRITE_JPEG_QUALITY, self._options.quality]
            done, data = self._cv2.imencode(".jpg", picture.image, quality)
            if not done:
                raise EdgeError(f"{picture.name}: this picture cannot be written as JPEG")
            try:
                self._store(self._folder / picture.name, data.tobytes())
            except (EdgeError, OSError) as error:
                self._give_up(error)

    def _store(self, path: Path, data: bytes) -> None:
        while len(self._files) >= self._options.max:
            self._files.popleft().unlink(missing_ok=True)
        write_atomic(path, data)
        self._files.append(path)
        self._written += 1

    def _give_up(self, error: EdgeError | OSError) -> None:
        """A picture less is no reason to stop counting; said now and then, as long as it lasts."""
        self._dropped += 1
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s:
            why = error.message if isinstance(error, EdgeError) else str(error)
            _log.warning("%s: %s; %d pictures are lost so far", self.name, why, self._dropped)
            self._quiet_until_s = now_s + QUIET_S


def _stamp(packet: Packet) -> str:
    return wall_time(packet).replace("-", "").replace(":", "")


def _fit(stream: str) -> str:
    """What of a stream's name can stand in a file's name."""
    short = Path(hide_password(stream).partition("?")[0]).name
    return re.sub(r"[^A-Za-z0-9.-]+", "-", short)[-40:].strip("-") or "stream"
