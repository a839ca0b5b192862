"""Which part of OpenCV opens a source, by which pipeline, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from edgesdk.capture.gstreamer import build_pipeline
from edgesdk.capture.machine import Machine, this_machine
from edgesdk.capture.settings import CaptureSettings
from edgesdk.capture.uri import SourceUri, without_secrets
from edgesdk.errors import DataError, UsageError
from edgesdk.video import VIDEO_SUFFIXES

Reader = Literal["gstreamer", "ffmpeg", "v4l2"]
"""The back-ends of cv2.VideoCapture that are used: CAP_GSTREAMER, CAP_FFMPEG, CAP_V4L2."""

SYSTEM_OPENCV = (
    "sudo apt install nvidia-opencv (in a container python3-opencv), and a venv with "
    "--system-site-packages"
)
"""How to get an OpenCV with GStreamer: pip's never has it."""


@dataclass(frozen=True)
class Choice:
    """How a source is opened: cv2.VideoCapture(opens, backend of `reader`, properties)."""

    reader: Reader
    opens: str = field(repr=False)
    """What VideoCapture is given: a GStreamer pipeline, an address or a path. May hold a
    password."""
    shown: str
    """`opens` without passwords, for logs and --print-pipeline."""
    reasons: tuple[str, ...]
    """Sentences: why this reader, and which elements were found or missed."""
    properties: tuple[tuple[str, float], ...] = ()
    """Names of cv2.CAP_PROP_... and their values, passed to VideoCapture as it opens."""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables that have to stand in the environment before it is opened."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the reader of frames still has to turn them; 0 where the
    pipeline does it."""


def choose(uri: SourceUri, machine: Machine | None = None, *, newest: bool | None = None) -> Choice:
    """Choose how to open a camera, a stream or a video file. Nothing is opened.

    `machine` is this one unless given. `newest`: see `build_pipeline`; by default live sources
    are read so. Raises DataError when this machine cannot open such a source, saying what to
    install, and UsageError for pictures and simulations, which OpenCV's capture does not open.
    """
    if uri.kind in ("pictures", "sim"):
        raise UsageError(
            f"{uri.shown}: pictures and simulations are read without a pipeline",
            "a pipeline is chosen for csi://, v4l2://, rtsp://, http:// and video files",
        )
    here = machine or this_machine()
    use_newest = uri.live if newest is None else newest
    if uri.kind in ("csi", "gst"):
        _need_gstreamer(uri, here)
        return _by_gstreamer(uri, here, use_newest, "only GStreamer can open it")
    if uri.kind == "v4l2":
        return _usb(uri, here, use_newest)
    if uri.kind == "rtsp":
        return _rtsp(uri, here, use_newest)
    return _file_or_http(uri, here, use_newest)


def _need_gstreamer(uri: SourceUri, here: Machine) -> None:
    if not here.gstreamer:
        raise DataError(
            f"{uri.shown}: this OpenCV ({here.opencv}) was built without GStreamer, which is the"
            " only way to open it",
            f"pip uninstall opencv-python opencv-python-headless, then {SYSTEM_OPENCV}",
        )


def _by_gstreamer(uri: SourceUri, here: Machine, newest: bool, why: str) -> Choice:
    built = build_pipeline(uri, here.has, newest=newest)
    reasons = (f"OpenCV has GStreamer {here.gstreamer}: {why}", *built.reasons)
    return Choice("gstreamer", built.pipeline, without_secrets(built.pipeline), reasons)


def _usb(uri: SourceUri, here: Machine, newest: bool) -> Choice:
    if here.board:
        return _by_gstreamer(uri, here, newest, "the board converts and decodes in hardware")
    if not here.v4l2:
        if not here.gstreamer:
            raise DataError(
                f"{uri.shown}: this OpenCV ({here.opencv}) reads no USB cameras", SYSTEM_OPENCV
            )
        return _by_gstreamer(uri, here, newest, "it was built without V4L2 of its own")
    why = "OpenCV's own V4L2 reads USB cameras; there is no hardware here that GStreamer would add"
    return Choice(
        "v4l2",
        uri.location,
        uri.location,
        (why,),
        properties=_v4l2_properties(uri.settings),
        rotation=uri.settings.rotation,
    )


def _v4l2_properties(asked: CaptureSettings) -> tuple[tuple[str, float], ...]:
    """In the order that matters: the format limits sizes, and the size limits rates."""
    properties: list[tuple[str, float]] = []
    # Without a word OpenCV takes YUYV, which USB 2 carries at full size only a few times a second.
    wanted = "MJPG" if asked.format != "raw" else "YUYV"
    if asked.format != "auto" or (asked.width or 0) > 640:
        code = sum(ord(letter) << 8 * place for place, letter in enumerate(wanted))
        properties.append(("CAP_PROP_FOURCC", float(code)))
    if asked.width and asked.height:
        properties.append(("CAP_PROP_FRAME_WIDTH", float(asked.width)))
        properties.append(("CAP_PROP_FRAME_HEIGHT", float(asked.height)))
    if asked.fps is not None:
        properties.append(("CAP_PROP_FPS", asked.fps))
    if asked.exposure_ms is not None:
        # V4L2 counts exposure in tenths of a millisecond; 1 is its "manual".
        properties.append(("CAP_PROP_AUTO_EXPOSURE", 1.0))
        properties.append(("CAP_PROP_EXPOSURE", max(1.0, round(asked.exposure_ms * 10))))
    return tuple(properties)


def _rtsp(uri: SourceUri, here: Machine, newest: bool) -> Choice:
    if here.gstreamer and here.has("rtspsrc"):
        why = "rtspsrc keeps the delay that was asked for and drops what comes too late"
        return _by_gstreamer(uri, here, newest, why)
    _need_ffmpeg(uri, here)
    missed = "has no rtspsrc" if here.gstreamer else "is not in this OpenCV"
    asked = uri.settings
    options = f"rtsp_transport;{asked.transport}|max_delay;{asked.latency_ms * 1000}"
    # FFmpeg would look at 20 frames for their rate before it gives the first one.
    options += "|fpsprobesize;5"
    options += "|fflags;nobuffer" if newest else ""
    return _by_ffmpeg(
        uri, (f"GStreamer {missed}: FFmpeg reads RTSP too, on the processor",), options
    )


def _file_or_http(uri: SourceUri, here: Machine, newest: bool) -> Choice:
    suffix = PurePosixPath(urlsplit(uri.location).path).suffix.lower()
    whole = uri.kind == "http" and suffix in VIDEO_SUFFIXES | {".m3u8", ".mpd", ".ts"}
    if here.board and not whole:
        return _by_gstreamer(uri, here, newest, "the board decodes in hardware")
    if here.gstreamer and not here.ffmpeg and not whole:
        return _by_gstreamer(uri, here, newest, "it was built without FFmpeg")
    _need_ffmpeg(uri, here)
    why = "FFmpeg reads it; there is no hardware decoder here that GStreamer would add"
    return _by_ffmpeg(uri, (why,), "")


def _need_ffmpeg(uri: SourceUri, here: Machine) -> None:
    if not here.ffmpeg:
        raise DataError(
            f"{uri.shown}: this OpenCV ({here.opencv}) has neither GStreamer nor FFmpeg for it",
            f"pip install 'edgesdk[video]', or {SYSTEM_OPENCV}",
        )


def _by_ffmpeg(uri: SourceUri, reasons: tuple[str, ...], options: str) -> Choice:
    timed: tuple[tuple[str, float], ...] = ()
    if uri.live:
        wait_ms = float(uri.settings.watchdog_ms)
        timed = (("CAP_PROP_OPEN_TIMEOUT_MSEC", wait_ms), ("CAP_PROP_READ_TIMEOUT_MSEC", wait_ms))
    return Choice(
        "ffmpeg",
        uri.location,
        without_secrets(uri.location),
        reasons,
        properties=timed,
        environment=(("OPENCV_FFMPEG_CAPTURE_OPTIONS", options),) if options else (),
        rotation=uri.settings.rotation,
    )
