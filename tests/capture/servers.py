"""Real servers as processes that tests may kill, freeze and start again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.capture import Camera, Machine, Recovery, choose, open_camera, parse_source
from edgesdk.capture.machine import installed_elements
from edgesdk.capture.opening import opening_of
from tests.capture.traces import wait_until

SYSTEM_PYTHON = "/usr/bin/python3"
BITS, BLOCK_PX = 16, 16


class Server:
    """A server process; `port` stays the same over restarts."""

    def __init__(self, python: str, script: str, *arguments: str) -> None:
        self.port = free_port()
        self._command = [python, str(Path(__file__).with_name(script)), str(self.port), *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("ready"), f"{self._command}: {line!r}"

    def tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            for end in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    end.close()  # type: ignore[union-attr]
            self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def rtsp_server(size: str = "320x240", fps: int = 25, login: str = "") -> Server:
    """Pictures with a number, at rtsp://127.0.0.1:<port>/cam."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("needs a GStreamer RTSP server: apt install gir1.2-gst-rtsp-server-1.0")
    return Server(SYSTEM_PYTHON, "rtsp_server.py", size, str(fps), *([login] if login else []))


def mjpeg_server(size: str = "320x240", fps: int = 25) -> Server:
    """The same over HTTP, at http://127.0.0.1:<port>/cam.mjpg."""
    return Server(sys.executable, "mjpeg_server.py", size, str(fps))


def failed_once(camera: Camera) -> Camera:
    """The camera, once a try has failed: then its `size` need not be waited for long."""
    camera.start()
    assert wait_until(lambda: bool(camera.stats().last_error), 30)
    return camera


def number_in(image: np.ndarray) -> int:
    """The number that is painted in a picture."""
    row = image[BLOCK_PX // 2, BLOCK_PX // 2 :: BLOCK_PX].mean(axis=1)
    return sum(int(row[bit] > 128) << bit for bit in range(BITS))


def camera_by(reader: str, address: str, recovery: Recovery, keep: str = "newest") -> Camera:
    """A camera read by pip's OpenCV (ffmpeg) or the distribution's (gstreamer)."""
    uri = parse_source(address)
    if reader == "ffmpeg":
        if "FFMPEG:                      YES" not in cv2.getBuildInformation():
            pytest.skip("needs an OpenCV with FFmpeg: pip install opencv-python-headless")
        return open_camera(uri, recovery, keep)  # type: ignore[arg-type]
    probe = (
        "import cv2, re, sys; sys.exit(not re.search('GStreamer: +YES', cv2.getBuildInformation()))"
    )
    if subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("needs an OpenCV with GStreamer: apt install python3-opencv")
    has = installed_elements()
    if not has("avdec_h264"):
        pytest.skip("needs GStreamer's decoders: apt install gstreamer1.0-libav")
    choice = choose(uri, Machine("4.6.0", "1.22", True, True, has))
    opening = replace(opening_of(uri, choice), python=SYSTEM_PYTHON)
    asked = replace(recovery, freeze_s=uri.settings.watchdog_ms / 1000)
    return Camera(opening, asked, uri.shown, keep)  # type: ignore[arg-type]
