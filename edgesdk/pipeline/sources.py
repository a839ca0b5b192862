"""Where frames come from today: video files, sets of pictures and simulated scenes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from edgesdk.errors import UsageError
from edgesdk.frames import Frame
from edgesdk.pictures import PictureSet, open_pictures
from edgesdk.pipeline.protocols import Source
from edgesdk.sim import open_simulation
from edgesdk.video import UNSTATED_FPS, VIDEO_SUFFIXES, VideoReader, read_video

WORKS_NOW = (
    "what works now: a video file, a folder, tar or npz of pictures, or sim://traffic?seed=3"
)

_log = logging.getLogger(__name__)


def open_source(text: str) -> Source:
    """Open the source that `text` names.

    A video file by its extension; a folder, tar or npz of pictures, in natural order (set.tar#val
    is one split of it); or a simulation such as sim://traffic?seed=3&frames=600. Raises DataError
    when it cannot be read, ConfigError for a bad simulation and UsageError for cameras and
    streams, which come later.
    """
    scheme, colons, _ = text.partition("://")
    if colons and scheme == "sim":
        return open_simulation(text)
    if colons or text.startswith("/dev/"):
        kind = scheme if colons else "camera device"
        raise UsageError(f"{text}: sources of the kind {kind!r} are not supported yet", WORKS_NOW)
    path = Path(text)
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        return VideoSource(path)
    return PictureSource(open_pictures(text))


class VideoSource:
    """The frames of a video file, none left out."""

    live = False

    def __init__(self, path: Path) -> None:
        self._reader: VideoReader = read_video(path)
        self.name = str(path)
        self.fps = self._reader.fps
        self.size = (self._reader.width, self._reader.height)
        self.count = self._reader.count

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._reader)

    def stop(self) -> None:
        """Its next frame always comes soon."""

    def close(self) -> None:
        """Nothing stays open between iterations."""


class PictureSource:
    """A set of pictures as frames, at a nominal 25 frames per second.

    Pictures that cannot be read are left out, and named in a warning at the end.
    """

    live = False
    fps = UNSTATED_FPS

    def __init__(self, pictures: PictureSet) -> None:
        self._pictures = pictures
        self.name = pictures.source
        self.count = pictures.count
        first = next(iter(pictures)).image
        self.size = (first.shape[1], first.shape[0])

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(self._pictures):
            time_ns = round(index * 1e9 / self.fps)
            yield Frame(picture.image, index, time_ns, time.monotonic_ns(), picture.name)

    def stop(self) -> None:
        """Its next picture always comes soon."""

    def close(self) -> None:
        """Say what was left out."""
        skipped = self._pictures.skipped
        if skipped:
            some = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
            _log.warning("%d pictures could not be read and were left out: %s", len(skipped), some)
