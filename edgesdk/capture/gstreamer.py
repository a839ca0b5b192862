"""Writes the GStreamer pipeline for a source, out of the elements that are installed.

On a Jetson pictures stay in its video memory (NVMM) up to nvvidconv, which also turns them; only
the last step, dropping the fourth byte of BGRx, costs processor time. Elsewhere the same is done
by software elements. Names and numbers are those of NVIDIA's Accelerated GStreamer guide and of
GStreamer's own documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from edgesdk.capture.machine import PACKAGE_OF, Has
from edgesdk.capture.settings import CaptureSettings
from edgesdk.capture.uri import SourceUri, without_secrets
from edgesdk.errors import ConfigError, DataError

_NVVIDCONV = {0: 0, 90: 3, 180: 2, 270: 1}
"""Degrees clockwise -> flip-method of nvvidconv, which counts anticlockwise."""
_VIDEOFLIP = {90: "90r", 180: "180", 270: "90l"}
"""Degrees clockwise -> video-direction of videoflip; 1.22 ignores the older `method`."""


@dataclass(frozen=True)
class Built:
    """A pipeline and why it is as it is."""

    pipeline: str
    reasons: tuple[str, ...]


def build_pipeline(uri: SourceUri, has: Has, *, newest: bool) -> Built:
    """The pipeline for a camera, a stream or a video file; its frames leave it as BGR.

    `newest`: a slow reader finds the latest frame, and older ones are dropped; otherwise the
    pipeline waits for the reader. Raises DataError naming the element that is missing and the
    package that brings it.
    """
    makers = {"csi": _csi, "v4l2": _v4l2, "rtsp": _rtsp, "http": _http, "video": _file}
    if uri.kind == "gst":
        return Built(uri.location, ("the pipeline was given, and is taken as it is",))
    chain, reasons = makers[uri.kind](uri, _Elements(has, uri.shown))
    sink = "appsink sync=false " + ("drop=true max-buffers=1" if newest else "max-buffers=4")
    return Built(" ! ".join((*chain, sink)), reasons)


def quoted(text: str) -> str:
    """A property's value so that gst_parse_launch takes every character literally.

    Quotation marks would not do: a backslash before the closing one hides it. Raises ConfigError
    for a value that ends in a backslash: GStreamer's grammar cannot say where it is over.
    """
    if text.endswith("\\"):
        raise ConfigError(
            f"{without_secrets(text)}: ends in a backslash, which GStreamer cannot be given",
            "rename it, or link to it under another name",
        )
    return re.sub(r"([^\w./:@%+,=-])", r"\\\1", text, flags=re.ASCII)


@dataclass(frozen=True)
class _Elements:
    """The installed elements, asked for on behalf of one source."""

    has: Has
    shown: str

    @property
    def board(self) -> bool:
        return self.has("nvvidconv") and self.has("nvv4l2decoder")

    def need(self, *names: str) -> None:
        """Raises DataError for the first that is not installed."""
        for name in names:
            if not self.has(name):
                package = PACKAGE_OF.get(name, "gstreamer1.0-plugins-good")
                raise DataError(
                    f"{self.shown}: the GStreamer element {name} is needed, and is not installed",
                    f"apt install {package}, or write the pipeline yourself: gst:...",
                )

    def first(self, *names: str) -> str:
        """The first that is installed."""
        for name in names[:-1]:
            if self.has(name):
                return name
        self.need(names[-1])
        return names[-1]


Chain = tuple[tuple[str, ...], tuple[str, ...]]
"""The steps of a pipeline before its sink, and reasons."""


def _csi(uri: SourceUri, elements: _Elements) -> Chain:
    elements.need("nvarguscamerasrc", "nvvidconv", "videoconvert")
    asked = uri.settings
    source = f"nvarguscamerasrc sensor-id={uri.location}"
    if asked.sensor_mode is not None:
        source += f" sensor-mode={asked.sensor_mode}"
    if asked.exposure_ms is not None:
        exposure_ns = round(asked.exposure_ms * 1e6)
        source += f' exposuretimerange="{exposure_ns} {exposure_ns}"'
    mode = f"video/x-raw(memory:NVMM),format=NV12{_mode(asked)}"
    reasons = (
        "nvarguscamerasrc is the only way to a CSI sensor through the board's image processor",
        "nvvidconv converts in video memory; videoconvert only drops the fourth byte of BGRx",
    )
    return (source, mode, *_hardware_tail(asked)), reasons


def _v4l2(uri: SourceUri, elements: _Elements) -> Chain:
    elements.need("v4l2src", "videoconvert")
    asked = uri.settings
    source = f"v4l2src device={quoted(uri.location)} io-mode=2"
    if asked.exposure_ms is not None:
        tenths = max(1, round(asked.exposure_ms * 10))
        # Linux renamed these controls; the names that a driver does not know are passed over.
        source += (
            f" extra-controls=c,auto_exposure=1,exposure_time_absolute={tenths}"
            f",exposure_auto=1,exposure_absolute={tenths}"
        )
    if asked.format == "mjpg":
        decoder, why = _jpeg_decoder(elements)
        caps = f"image/jpeg{_mode(asked)}"
        return (source, caps, *decoder, *_tail(asked, elements)), (f"MJPG as asked; {why}",)
    if asked.format == "raw":
        caps = f"video/x-raw{_mode(asked)}"
        why = "uncompressed pictures as asked: nothing is decoded"
        return (source, caps, *_software_tail(asked, elements)), (why,)
    elements.need("decodebin")
    caps = f'"video/x-raw{_mode(asked)};image/jpeg{_mode(asked)}"'
    why = "uncompressed where the camera has this mode, MJPG otherwise; format=mjpg fixes it"
    return (source, f"capsfilter caps={caps}", "decodebin", *_tail(asked, elements)), (why,)


def _rtsp(uri: SourceUri, elements: _Elements) -> Chain:
    elements.need("rtspsrc", "videoconvert")
    asked = uri.settings
    source = (
        f"rtspsrc location={quoted(uri.location)} latency={asked.latency_ms}"
        f" protocols={asked.transport} drop-on-latency=true"
        f" tcp-timeout={asked.watchdog_ms * 1000}"
    )
    video = "application/x-rtp,media=video"
    if asked.codec == "auto":
        elements.need("decodebin")
        why = "decodebin takes the best decoder for what the camera sends"
        if elements.board:
            why += ": on this board nvv4l2decoder, whose rank is highest; codec=h264 fixes it"
        return (source, video, "decodebin", *_tail(asked, elements)), (why,)
    depay, parser = f"rtp{asked.codec}depay", f"{asked.codec}parse"
    elements.need(depay, parser)
    decoder = elements.first("nvv4l2decoder", f"avdec_{asked.codec}")
    where = "in hardware" if decoder == "nvv4l2decoder" else "on the processor"
    chain = (source, video, depay, parser, decoder, *_tail(asked, elements))
    return chain, (f"{decoder} decodes {asked.codec} {where}",)


def _http(uri: SourceUri, elements: _Elements) -> Chain:
    elements.need("souphttpsrc", "multipartdemux", "videoconvert")
    asked = uri.settings
    seconds = max(1, round(asked.watchdog_ms / 1000))
    source = (
        f"souphttpsrc location={quoted(uri.location)} is-live=true do-timestamp=true"
        f" timeout={seconds}"
    )
    decoder, why = _jpeg_decoder(elements)
    chain = (source, "multipartdemux single-stream=true", "image/jpeg", *decoder)
    return (*chain, *_tail(asked, elements)), (f"a stream of JPEG pictures; {why}",)


def _file(uri: SourceUri, elements: _Elements) -> Chain:
    elements.need("filesrc", "decodebin", "videoconvert")
    chain = (f"filesrc location={quoted(uri.location)}", "decodebin")
    where = "nvv4l2decoder where it knows the codec" if elements.board else "a software decoder"
    return (*chain, *_tail(uri.settings, elements)), (f"decodebin takes {where}",)


def _jpeg_decoder(elements: _Elements) -> tuple[tuple[str, ...], str]:
    if elements.board and elements.has("jpegparse"):
        return ("jpegparse", "nvv4l2decoder mjpeg=1"), "nvv4l2decoder decodes it in hardware"
    decoder = elements.first("jpegdec", "avdec_mjpeg")
    return (decoder,), f"{decoder} decodes it on the processor"


def _mode(asked: CaptureSettings) -> str:
    """Size and rate as caps, each led by a comma."""
    text = f",width={asked.width},height={asked.height}" if asked.width else ""
    if asked.fps is not None:
        rate = Fraction(asked.fps).limit_denominator(1001)
        text += f",framerate={rate.numerator}/{rate.denominator}"
    return text


def _tail(asked: CaptureSettings, elements: _Elements) -> tuple[str, ...]:
    return _hardware_tail(asked) if elements.board else _software_tail(asked, elements)


def _hardware_tail(asked: CaptureSettings) -> tuple[str, ...]:
    return (
        f"nvvidconv flip-method={_NVVIDCONV[asked.rotation]}",
        "video/x-raw,format=BGRx",
        "videoconvert",
        "video/x-raw,format=BGR",
    )


def _software_tail(asked: CaptureSettings, elements: _Elements) -> tuple[str, ...]:
    turn: tuple[str, ...] = ()
    if asked.rotation:
        elements.need("videoflip")
        turn = (f"videoflip video-direction={_VIDEOFLIP[asked.rotation]}",)
    return (*turn, "videoconvert", "video/x-raw,format=BGR")
