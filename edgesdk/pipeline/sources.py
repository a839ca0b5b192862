"""Where frames come from: one door for cameras, streams, files, pictures, simulations, arrays."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk.capture import (
    CaptureSettings,
    Recovery,
    SourceUri,
    choose,
    open_camera,
    parse_source,
)
from edgesdk.capture.keeper import Keep
from edgesdk.errors import DataError
from edgesdk.frames import Frame
from edgesdk.pictures import PictureSet, is_pattern, open_pattern, open_pictures
from edgesdk.pipeline.protocols import Source
from edgesdk.sim import open_simulation
from edgesdk.video import UNSTATED_FPS, VideoReader, read_video

_log = logging.getLogger(__name__)


def open_source(
    what: str | Iterable[NDArray[np.uint8]],
    recovery: Recovery | None = None,
    keep: Keep = "newest",
) -> Source:
    """Open the source that `what` names, or is.

    csi://0, v4l2:///dev/video0, /dev/video0, rtsp://, http://, gst:PIPELINE; a video file by its
    extension; a folder, tar, npz or pattern of pictures ("shots/*.jpg", set.tar#val is one split
    of it), in natural order; a simulation such as sim://traffic?seed=3&frames=600; an iterable of
    BGR pictures. `recovery` and `keep` are for cameras and streams (`Camera`).

    Raises DataError when it cannot be read, UsageError for a kind, setting or simulation that is
    wrong. No message shows a password.
    """
    if not isinstance(what, str):
        return FrameIterable(what)
    uri = parse_source(what)
    if uri.kind == "sim":
        return open_simulation(uri.location)
    if uri.kind == "pictures":
        _check_there(uri.location)
        pictures = (
            open_pattern(uri.location) if is_pattern(uri.location) else open_pictures(uri.location)
        )
        return PictureSource(pictures, uri.settings)
    if uri.kind == "video":
        return _video(uri, recovery)
    return open_camera(uri, recovery, keep)


def _check_there(place: str) -> None:
    """Who mistypes a camera gets here too."""
    there = Path(place).exists() or Path(place.partition("#")[0]).exists()
    if not there and not is_pattern(place):
        raise DataError(
            f"{place}: no such file or folder, and no camera or stream by its form",
            "such as road.mp4, a folder of pictures, rtsp://HOST/PATH, /dev/video0, csi://0 or"
            " sim://traffic",
        )


def _video(uri: SourceUri, recovery: Recovery | None) -> Source:
    """Read in this process, but by GStreamer in one of its own where a board decodes."""
    plain = VideoSource(Path(uri.location), uri.settings)
    if choose(uri).reader == "gstreamer":
        return open_camera(uri, recovery, "all")
    return plain


class VideoSource:
    """The frames of a video file, none left out."""

    live = False

    def __init__(self, path: Path, asked: CaptureSettings | None = None) -> None:
        self._reader: VideoReader = read_video(path)
        self._rotation = asked.rotation if asked else 0
        self.name = str(path)
        self.fps = self._reader.fps
        self.size = _turned_size(self._reader.width, self._reader.height, self._rotation)
        self.count = self._reader.count

    def __iter__(self) -> Iterator[Frame]:
        if not self._rotation:
            return iter(self._reader)
        return (
            replace(frame, image=_turned(frame.image, self._rotation)) for frame in self._reader
        )

    def stop(self) -> None:
        """Its next frame always comes soon."""

    def close(self) -> None:
        """Nothing stays open between iterations."""


class PictureSource:
    """A set of pictures as frames, at a nominal 25 frames per second unless told otherwise.

    Pictures that cannot be read are left out, and named in a warning at the end.
    """

    live = False

    def __init__(self, pictures: PictureSet, asked: CaptureSettings | None = None) -> None:
        self._pictures = pictures
        self._rotation = asked.rotation if asked else 0
        self.fps = asked.fps if asked and asked.fps else UNSTATED_FPS
        self.name = pictures.source
        self.count = pictures.count
        first = next(iter(pictures)).image
        self.size = _turned_size(first.shape[1], first.shape[0], self._rotation)

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(self._pictures):
            time_ns = round(index * 1e9 / self.fps)
            image = _turned(picture.image, self._rotation)
            yield Frame(image, index, time_ns, time.monotonic_ns(), picture.name)

    def stop(self) -> None:
        """Its next picture always comes soon."""

    @property
    def unread(self) -> Mapping[str, str]:
        """Name -> reason of the pictures that could not be read so far."""
        return dict(self._pictures.skipped)

    def close(self) -> None:
        """Say what was left out."""
        skipped = self._pictures.skipped
        if skipped:
            some = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
            _log.warning("%d pictures could not be read and were left out: %s", len(skipped), some)


class FrameIterable:
    """Pictures that a program makes, as frames at a nominal rate: height x width x 3, BGR, uint8.

    The iterable is used once; its first picture is taken at once, for the size.
    """

    live = False

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        fps: float = UNSTATED_FPS,
        name: str = "pictures",
    ) -> None:
        """Raises DataError when there is no picture."""
        rest = iter(pictures)
        first = next(rest, None)
        if first is None:
            raise DataError(f"{name}: the iterable gives no picture")
        _check_picture(first, 0, name)
        self.name, self.fps = name, fps
        self.size = (first.shape[1], first.shape[0])
        self.count: int | None = len(pictures) if isinstance(pictures, Sized) else None
        self._pictures = chain([first], rest)
        self._stopping = False

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(self._pictures):
            if self._stopping:
                return
            _check_picture(image, index, self.name)
            time_ns = round(index * 1e9 / self.fps)
            yield Frame(image, index, time_ns, time.monotonic_ns(), self.name)

    def stop(self) -> None:
        """End after the picture that is being made."""
        self._stopping = True

    def close(self) -> None:
        """There is nothing to free."""


def _check_picture(image: object, index: int, name: str) -> None:
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
            return
        found = f"{image.dtype} of shape {image.shape}"
    else:
        found = type(image).__name__
    raise DataError(
        f"{name}[{index}]: expected uint8 of shape (height, width, 3), found {found}",
        "BGR, as cv2.imread gives it; RGB becomes BGR by image[..., ::-1]",
    )


def _turned_size(width: int, height: int, degrees: int) -> tuple[int, int]:
    return (height, width) if degrees in (90, 270) else (width, height)


def _turned(image: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """Clockwise."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90)) if degrees else image
