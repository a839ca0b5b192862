"""What there is to capture with: how OpenCV was built, and which GStreamer elements are here."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesdk._optional import require

Has = Callable[[str], bool]
"""Whether a GStreamer element of that name is installed."""

PLUGIN_OF = {
    "nvarguscamerasrc": "nvarguscamerasrc",
    "nvvidconv": "nvvidconv",
    "nvv4l2decoder": "nvvideo4linux2",
    "nvjpegdec": "nvjpeg",
    "rtspsrc": "rtsp",
    "rtph264depay": "rtp",
    "rtph265depay": "rtp",
    "h264parse": "videoparsersbad",
    "h265parse": "videoparsersbad",
    "jpegparse": "jpegformat",
    "avdec_h264": "libav",
    "avdec_h265": "libav",
    "avdec_mjpeg": "libav",
    "jpegdec": "jpeg",
    "souphttpsrc": "soup",
    "multipartdemux": "multipart",
    "v4l2src": "video4linux2",
    "decodebin": "playback",
    "videoconvert": "videoconvert*",
    "videoflip": "videofilter",
    "filesrc": "coreelements",
}
"""Element -> the plugin that holds it, as its file is named: libgst<plugin>.so, * for versions."""
PACKAGE_OF = {
    "nvarguscamerasrc": "nvidia-l4t-gstreamer",
    "nvvidconv": "nvidia-l4t-gstreamer",
    "nvv4l2decoder": "nvidia-l4t-gstreamer",
    "nvjpegdec": "nvidia-l4t-gstreamer",
    "decodebin": "gstreamer1.0-plugins-base",
    "videoconvert": "gstreamer1.0-plugins-base",
    "h264parse": "gstreamer1.0-plugins-bad",
    "h265parse": "gstreamer1.0-plugins-bad",
    "jpegparse": "gstreamer1.0-plugins-bad",
    "avdec_h264": "gstreamer1.0-libav",
    "avdec_h265": "gstreamer1.0-libav",
    "avdec_mjpeg": "gstreamer1.0-libav",
    "filesrc": "libgstreamer1.0-0",
}
"""Element -> its Debian or Jetson Linux package; the others are in gstreamer1.0-plugins-good."""

_FOLDERS = "usr/lib/*/gstreamer-1.0"


@dataclass(frozen=True)
class Machine:
    """What captures can be opened with on one machine."""

    opencv: str
    """Its version; empty when there is no OpenCV."""
    gstreamer: str
    """Version of the GStreamer in OpenCV; empty when it was built without."""
    ffmpeg: bool
    """Whether OpenCV has FFmpeg."""
    v4l2: bool
    """Whether OpenCV reads USB cameras itself."""
    has: Has
    """Asks for one GStreamer element."""

    @property
    def board(self) -> bool:
        """Whether a Jetson's hardware can convert and decode pictures here."""
        return bool(self.gstreamer) and self.has("nvvidconv") and self.has("nvv4l2decoder")


def this_machine(root: Path = Path("/")) -> Machine:
    """Look at this machine; OpenCV is imported, elements are looked up when they are asked for.

    Raises MissingExtra when there is no OpenCV.
    """
    build = str(require("cv2", "read cameras and videos").getBuildInformation())
    return machine_of(build, installed_elements(root))


def machine_of(build: str, has: Has) -> Machine:
    """From OpenCV's account of how it was built (cv2.getBuildInformation)."""
    version = re.search(r"OpenCV (\S+)", build)
    gstreamer = re.search(r"GStreamer:\s+YES(?:\s+\(([\d.]+)\))?", build)
    return Machine(
        version[1] if version else "?",
        (gstreamer[1] or "?") if gstreamer else "",
        re.search(r"FFMPEG:\s+YES", build) is not None,
        re.search(r"v4l/v4l2:\s+YES", build) is not None,
        has,
    )


def installed_elements(root: Path = Path("/")) -> Has:
    """Answers by gst-inspect-1.0 and, where that is not installed, by the plugins' files.

    `root` is where those are looked for. An answer is kept: plugins do not come and go.
    """
    inspect = shutil.which("gst-inspect-1.0") if root == Path("/") else None

    @functools.cache
    def has(element: str) -> bool:
        if inspect:
            return _exists(inspect, element)
        plugin = PLUGIN_OF.get(element, element)
        return any(root.glob(f"{_FOLDERS}/libgst{plugin}.so"))

    return has


def _exists(inspect: str, element: str) -> bool:
    try:
        done = subprocess.run(
            [inspect, "--exists", element], capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
