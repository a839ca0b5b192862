"""Video files, in and out: the only module that opens OpenCV's capture and writer."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk._files import Part, clear_abandoned
from edgesdk._optional import require
from edgesdk.errors import DataError, EdgeError, UsageError
from edgesdk.frames import Frame

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"})
"""Names of files that are taken for videos."""
_END_BYTES = 32
"""Of a frame in the index of an .mp4."""
UNSTATED_FPS = 25.0
"""Taken where a file does not say how fast it is."""
LEAST_ROOM_BYTES = 16 << 20
"""Free on the disk: the end of a file takes some bytes a frame (an .mp4 its index), and whatever
else is written there should not be starved by a video."""
FOURCC = {".mp4": "mp4v", ".webm": "VP80"}
"""Extension -> codec. Both are in pip's OpenCV; browsers play .webm, not this .mp4."""


class VideoReader:
    """A video file as frames. Each iteration reads it from the start; nothing is kept open between.

    Raises DataError while iterating when the file ends before the frames that it promised.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        capture = _open(path)
        try:
            read, image = capture.read()
            if not read:
                raise DataError(
                    f"{path}: opens as a video, but no frame of it can be decoded",
                    f"see what is wrong with it: ffmpeg -v error -i {path.name} -f null -",
                )
            self.height, self.width = int(image.shape[0]), int(image.shape[1])
            self.fps, self.count = _stated(capture)
        finally:
            capture.release()

    def __iter__(self) -> Iterator[Frame]:
        cv2 = require("cv2", "read videos")
        capture = _open(self.path)
        index, time_ns, start_ns = 0, 0, 0
        try:
            while True:
                read, image = capture.read()
                if not read:
                    break
                stated_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
                if index == 0:
                    start_ns = stated_ns
                elif stated_ns - start_ns > time_ns:
                    time_ns = stated_ns - start_ns
                else:  # The container states no times: the rate gives them.
                    time_ns += round(1e9 / self.fps)
                yield Frame(image, index, time_ns, time.monotonic_ns(), str(self.path))
                index += 1
        finally:
            capture.release()
        self._check_whole(index, time_ns)

    def _check_whole(self, frames: int, last_ns: int) -> None:
        """Both the count and the time have to fall short: one alone is often only an estimate."""
        if self.count is None or frames >= 0.98 * self.count:
            return
        if last_ns / 1e9 + 1 / self.fps < 0.98 * self.count / self.fps:
            raise DataError(
                f"{self.path}: truncated or damaged: it promises {self.count} frames,"
                f" only {frames} can be decoded",
                "copy it again from where it came from, or keep the good part:"
                f" ffmpeg -i {self.path.name} -c copy repaired{self.path.suffix}",
            )


def read_video(path: Path) -> VideoReader:
    """Open a video file and decode its first frame to be sure of it.

    The reader has `fps`, `width`, `height` (pixels) and `count` (frames the file promises, None
    where it does not say). Raises DataError when the file is absent, empty, no video, or has no
    frame that can be decoded.
    """
    return VideoReader(path)


class VideoWriter:
    """Writes BGR pictures of one size to .mp4 (MPEG-4 part 2) or .webm (VP8).

    The file grows under a temporary name beside `path` and takes its place on `close`, after it
    was opened again and its frames counted: OpenCV does not report a full disk. So ask `has_room`
    before each picture, and close while the disk still takes the end of the file.
    Used with `with`, an error in the body discards it. An odd width or height loses its last
    column or row in .mp4.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        """`size` is width, height in pixels. Raises UsageError for another kind of file and
        EdgeError when the place cannot be written."""
        self.path = path
        self.size = size
        self.frames = 0
        self._part = _part_beside(path)
        cv2 = _opencv("write videos")
        code = cv2.VideoWriter_fourcc(*FOURCC[path.suffix.lower()])
        with _muted_stderr():
            self._writer = cv2.VideoWriter(str(self._part.path), code, fps, size)
        if not self._writer.isOpened():
            self.discard()
            raise EdgeError(
                f"{path}: this OpenCV cannot write {FOURCC[path.suffix.lower()]} video"
                f" of {size[0]}x{size[1]} at {fps:g} fps",
                "try the other of .mp4 and .webm, or: pip install 'edgesdk[video]'",
            )

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one picture. Raises DataError for one of another size."""
        if (image.shape[1], image.shape[0]) != self.size:
            raise DataError(
                f"{self.path}: all pictures of a video have one size: it began with"
                f" {self.size[0]}x{self.size[1]}, found {image.shape[1]}x{image.shape[0]}",
                "leave the video out, or bring the pictures to one size first",
            )
        with _quiet_opencv():
            self._writer.write(np.ascontiguousarray(image))
        self.frames += 1

    def has_room(self) -> bool:
        """Whether the disk takes another picture and then still the end of the file."""
        return (
            shutil.disk_usage(self.path.parent).free >= LEAST_ROOM_BYTES + _END_BYTES * self.frames
        )

    def close(self) -> None:
        """Finish the file and put it in its place. Without a frame there is none."""
        self._writer.release()
        try:
            if self.frames == 0:
                return
            if self._written() < self.frames:
                raise EdgeError(
                    f"{self.path}: writing it failed: {self._written()} of {self.frames}"
                    " frames are in it",
                    "the usual cause is a full disk; nothing was left behind",
                )
            self._part.put()
        finally:
            self._part.discard()

    def discard(self) -> None:
        """Drop what was written. After `close` it does nothing."""
        self._writer.release()
        self._part.discard()

    def _written(self) -> int:
        try:
            return read_video(self._part.path).count or 0
        except DataError:
            return 0

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """It warns of every frame that a full disk does not take; `close` says it once."""
    logging = require("cv2", "write videos").utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(before)


@contextmanager
def _muted_stderr() -> Iterator[None]:
    """OpenCV warns about every .webm on the process's stderr, and has no switch for it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _open(path: Path) -> Any:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {found}; expected a video file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); expected a video")
    cv2 = _opencv("read videos")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise DataError(
            f"{path}: not readable as a video ({path.stat().st_size} bytes): truncated, damaged"
            " or of a kind that this OpenCV cannot decode",
            f"see what is wrong with it: ffmpeg -v error -i {path.name} -f null -",
        )
    return capture


def _opencv(purpose: str) -> ModuleType:
    """With FFmpeg's own complaints off stderr: ours say what they mean. A user's choice stays."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return require("cv2", purpose)


def _stated(capture: Any) -> tuple[float, int | None]:
    """Rate in frames per second and number of frames, as the container states them."""
    cv2 = require("cv2", "read videos")
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    sane = math.isfinite(fps) and 0 < fps <= 1000
    return fps if sane else UNSTATED_FPS, int(count) if 0 < count < 2**31 else None


def _part_beside(path: Path) -> Part:
    """An empty temporary file in the folder of `path`, with its extension."""
    suffix = path.suffix.lower()
    if suffix not in FOURCC:
        raise UsageError(f"{path}: a video is written as {' or '.join(FOURCC)}")
    clear_abandoned(path.parent)
    try:
        return Part(path, suffix)
    except OSError as error:
        raise EdgeError(
            f"cannot write {path}: {error.strerror or error}", "name another place"
        ) from error
