"""How a camera is asked to capture: the part of a source's URI after the question mark."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

Kind = Literal["csi", "v4l2", "rtsp", "http", "gst", "video", "pictures", "sim"]
"""What a URI names: two kinds of camera, two of stream, a raw GStreamer pipeline, a video file,
a set of pictures, a simulation."""


@dataclass(frozen=True)
class CaptureSettings:
    """What is asked of a source. None leaves the choice to the device.

    Raises ValueError for a value out of range.
    """

    width: int | None = None
    """Width in pixels of the camera's mode, before rotation; goes with `height`."""
    height: int | None = None
    """Height in pixels of the camera's mode, before rotation; goes with `width`."""
    fps: float | None = None
    """Frames per second: the camera's mode, or the nominal rate of a set of pictures."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the picture is turned after capture."""
    exposure_ms: float | None = None
    """Fixed exposure time; None: automatic."""
    sensor_mode: int | None = None
    """Number of a CSI sensor's mode, as nvarguscamerasrc lists them."""
    format: Literal["auto", "mjpg", "raw"] = "auto"
    """How a USB camera sends pictures. Most give full size at full rate as MJPG only."""
    latency_ms: int = 200
    """Length of the buffer that evens out a network stream; frames are older by so much."""
    transport: Literal["tcp", "udp"] = "tcp"
    """Of RTSP. Over UDP a lost packet garbles pictures; over TCP it delays them."""
    codec: Literal["auto", "h264", "h265"] = "auto"
    """Of RTSP; named, the decoder is fixed beforehand."""
    watchdog_ms: int = 5000
    """A live source that gives no frame for so long counts as frozen and is opened again."""

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "width": (16, 16384),
            "height": (16, 16384),
            "fps": (0.1, 1000),
            "exposure_ms": (0.01, 10_000),
            "sensor_mode": (0, 63),
            "latency_ms": (0, 60_000),
            "watchdog_ms": (100, 3_600_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} should be from {low:g} to {high:g}, found {value:g}")
        if (self.width is None) != (self.height is None):
            given, missing = ("width", "height") if self.width else ("height", "width")
            raise ValueError(f"{given} is given without {missing}: name both or neither")


TAKEN: dict[Kind, frozenset[str]] = {
    "csi": frozenset(
        ("width", "height", "fps", "rotation", "exposure_ms", "sensor_mode", "watchdog_ms")
    ),
    "v4l2": frozenset(
        ("width", "height", "fps", "rotation", "exposure_ms", "format", "watchdog_ms")
    ),
    "rtsp": frozenset(("rotation", "latency_ms", "transport", "codec", "watchdog_ms")),
    "http": frozenset(("rotation", "watchdog_ms")),
    "gst": frozenset(("watchdog_ms",)),
    "video": frozenset(("rotation",)),
    "pictures": frozenset(("rotation", "fps")),
    "sim": frozenset(),
}
"""Kind of source -> the settings that mean something for it."""

NAMES = frozenset(field.name for field in dataclasses.fields(CaptureSettings))
"""Of all settings."""

SPEAKING = frozenset(name for name in NAMES if "_" in name)
"""Settings whose names no camera uses in its own address, as many do with width or fps."""
