"""The pipelines that are written for GStreamer: for boards by recorded facts, for desks by running.

What is known of a Jetson's elements is recorded from `gst-inspect-1.0` of Jetson Linux and from
NVIDIA's Accelerated GStreamer guide; nothing here ran on a board.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.capture import Camera, Opening, parse_source
from edgesdk.capture.gstreamer import build_pipeline, quoted
from edgesdk.capture.machine import PLUGIN_OF, installed_elements
from edgesdk.errors import ConfigError, DataError

HERE = Path(__file__).parent
DEBIAN = "/usr/bin/python3"

JETSON = {
    "nvarguscamerasrc": {"sensor-id", "sensor-mode", "exposuretimerange", "gainrange", "wbmode"},
    "nvvidconv": {"flip-method", "interpolation-method", "left", "right", "top", "bottom"},
    "nvv4l2decoder": {"mjpeg", "enable-max-performance", "skip-frames", "drop-frame-interval"},
    "nvjpegdec": {"idct-method"},
}
"""Element -> properties that gst-inspect-1.0 lists on a Jetson, as far as they matter here."""

SOURCES = [
    "csi://0?width=1280&height=720&fps=30&rotation=180&exposure_ms=5&sensor_mode=2",
    "usb://0",
    "usb://0?format=mjpg&width=1920&height=1080&fps=30&exposure_ms=10",
    "usb://0?format=raw&width=640&height=480&rotation=90",
    "rtsp://admin:pw@cam/live?latency_ms=80&transport=udp",
    "rtsp://cam/live?codec=h265&rotation=270",
    "rtsp://cam/live?codec=h264",
    "http://cam/v.mjpg?x=1&rotation=180",
    "clip.mp4?rotation=90",
]


def on_board(name: str) -> bool:
    """A Jetson has everything."""
    return name in JETSON or name in PLUGIN_OF or name == "appsink"


def on_desk(name: str) -> bool:
    return not name.startswith("nv")


def pipeline(text: str, has: object = on_board, *, newest: bool = True) -> str:
    return build_pipeline(parse_source(text), has, newest=newest).pipeline  # type: ignore[arg-type]


# On a board


def test_a_csi_camera_stays_in_video_memory_up_to_the_last_conversion() -> None:
    """As NVIDIA's guide and its forum write it for OpenCV."""
    assert pipeline("csi://0?width=1280&height=720&fps=30") == (
        "nvarguscamerasrc sensor-id=0"
        " ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720,framerate=30/1"
        " ! nvvidconv flip-method=0 ! video/x-raw,format=BGRx"
        " ! videoconvert ! video/x-raw,format=BGR"
        " ! appsink sync=false drop=true max-buffers=1"
    )


def test_exposure_is_given_to_the_sensor_in_nanoseconds_as_a_range_of_one() -> None:
    assert 'exposuretimerange="5000000 5000000"' in pipeline("csi://1?exposure_ms=5")
    assert "sensor-id=1" in pipeline("csi://1?exposure_ms=5")
    assert "exposure_time_absolute=50," in pipeline("usb://0?exposure_ms=5")


@pytest.mark.parametrize(("degrees", "method"), [(0, 0), (90, 3), (180, 2), (270, 1)])
def test_nvvidconv_counts_its_turns_anticlockwise(degrees: int, method: int) -> None:
    """gst-inspect-1.0 nvvidconv: 1 counterclockwise, 2 rotate-180, 3 clockwise."""
    assert f"nvvidconv flip-method={method} !" in pipeline(f"csi://0?rotation={degrees}")


@pytest.mark.parametrize(
    ("text", "decoder"),
    [
        ("usb://0?format=mjpg", "image/jpeg ! jpegparse ! nvv4l2decoder mjpeg=1 ! nvvidconv"),
        ("rtsp://cam/live?codec=h264", "rtph264depay ! h264parse ! nvv4l2decoder ! nvvidconv"),
        ("rtsp://cam/live?codec=h265", "rtph265depay ! h265parse ! nvv4l2decoder ! nvvidconv"),
        ("rtsp://cam/live", "application/x-rtp,media=video ! decodebin ! nvvidconv"),
        ("http://cam/v.mjpg", "image/jpeg ! jpegparse ! nvv4l2decoder mjpeg=1 ! nvvidconv"),
        ("clip.mp4", "filesrc location=clip.mp4 ! decodebin ! nvvidconv"),
    ],
)
def test_a_board_decodes_in_hardware(text: str, decoder: str) -> None:
    assert decoder in pipeline(text)
    assert "nvidia" not in pipeline(text, on_desk)
    assert "nvv" not in pipeline(text, on_desk)


def test_a_rate_that_is_no_whole_number_becomes_the_fraction_cameras_mean() -> None:
    assert "framerate=30000/1001" in pipeline("usb://0?format=raw&fps=29.97002997")
    assert "framerate=15/2" in pipeline("usb://0?format=raw&fps=7.5")


def test_a_live_source_drops_old_frames_and_a_file_waits_for_its_reader() -> None:
    assert "drop=true max-buffers=1" in pipeline("rtsp://cam/live")
    assert "drop" not in pipeline("clip.mp4", newest=False)
    assert pipeline("clip.mp4", newest=False).endswith("appsink sync=false max-buffers=4")


def test_a_given_pipeline_is_taken_as_it_is() -> None:
    assert (
        pipeline("gst:videotestsrc ! foo bar=1 ! appsink") == "videotestsrc ! foo bar=1 ! appsink"
    )


@pytest.mark.parametrize(
    ("text", "missing", "package"),
    [
        ("csi://0", "nvarguscamerasrc", "nvidia-l4t-gstreamer"),
        ("rtsp://cam/live", "rtspsrc", "gstreamer1.0-plugins-good"),
        ("rtsp://cam/live?codec=h264", "h264parse", "gstreamer1.0-plugins-bad"),
        ("usb://0", "v4l2src", "gstreamer1.0-plugins-good"),
        ("clip.mp4", "decodebin", "gstreamer1.0-plugins-base"),
    ],
)
def test_what_is_missing_is_named_with_its_package(text: str, missing: str, package: str) -> None:
    with pytest.raises(DataError) as caught:
        pipeline(text, lambda name: name != missing)
    for word in (text, missing, f"apt install {package}"):
        assert word in str(caught.value)


# Every name and property exists


def properties(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of element and property in a pipeline."""
    for step in text.split(" ! "):
        element, *rest = re.split(r"(?<!\\)\s+", step)
        if "/" in element:
            continue
        yield element, ""
        for word in re.findall(r"([a-z][\w-]*)=", re.sub(r'"[^"]*"', "", " ".join(rest))):
            if word not in ("auto_exposure", "exposure_time_absolute", "exposure_auto",
                            "exposure_absolute", "x"):  # fmt: skip
                yield element, word


@pytest.mark.parametrize("text", SOURCES)
@pytest.mark.parametrize("has", [on_board, on_desk])
def test_every_element_and_property_exists(text: str, has: object) -> None:
    if text.startswith("csi") and has is on_desk:
        pytest.skip("needs a board: a desk has no CSI connector")
    for element, name in properties(pipeline(text, has)):
        if element in JETSON:
            assert not name or name in JETSON[element], (element, name)
        else:
            assert not name or re.search(rf"^  {name} ", inspected(element), re.M), (element, name)


def inspected(element: str) -> str:
    if shutil.which("gst-inspect-1.0") is None:
        pytest.skip("needs GStreamer's tools: apt install gstreamer1.0-tools")
    done = subprocess.run(["gst-inspect-1.0", element], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs GStreamer's element {element}")
    return done.stdout


# On a desk, for real


class Parser:
    """The real gst_parse_launch in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [DEBIAN, str(HERE / "gst_parser.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, text: str, element: str = "", name: str = "") -> dict[str, object]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([text, element, name]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, object] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def debian_can(statement: str) -> bool:
    if not Path(DEBIAN).exists():
        return False
    return (
        subprocess.run([DEBIAN, "-c", statement], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    if not debian_can("import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst"):
        pytest.skip("needs GStreamer for Python: apt install python3-gi gir1.2-gstreamer-1.0")
    one = Parser()
    yield one
    one.close()


printable = st.text(
    st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=1, max_size=40
)


@given(text=printable)
@settings(max_examples=300, deadline=None)
def test_no_name_of_a_file_or_camera_can_add_an_element_or_change_a_property(
    parser: Parser, text: str
) -> None:
    location = "/x" + text
    if text.endswith("\\"):
        with pytest.raises(ConfigError, match="backslash"):
            quoted(location)
        return
    answer = parser.ask(f"filesrc location={quoted(location)} ! fakesink", "filesrc", "location")
    assert answer == {"elements": ["fakesink", "filesrc"], "values": [location]}


@pytest.mark.parametrize(
    "text",
    [
        ' ! filesink location="/tmp/x',
        'a" ! fakesink name="b',
        "a\\",
        'a\\" ! fakesink name=b ! "',
        "name=other",
        "' ! fakesink '",
        "a b\tc".replace("\t", " "),
    ],
)
def test_names_that_were_made_to_break_out_stay_names(parser: Parser, text: str) -> None:
    test_no_name_of_a_file_or_camera_can_add_an_element_or_change_a_property.hypothesis.inner_test(  # type: ignore[attr-defined]
        parser, text
    )


@pytest.mark.parametrize("text", [source for source in SOURCES if not source.startswith("csi")])
def test_gstreamer_takes_what_is_written_for_a_desk(parser: Parser, text: str) -> None:
    answer = parser.ask(pipeline(text, on_desk))
    assert "error" not in answer, answer
    assert "appsink" in answer["elements"]  # type: ignore[operator]


def test_both_forms_that_a_usb_camera_may_send_are_offered(parser: Parser) -> None:
    text = pipeline("usb://0?width=1280&height=720&fps=30", on_desk)
    caps = parser.ask(text, "capsfilter", "caps")["values"]
    mode = "width=(int)1280, height=(int)720, framerate=(fraction)30/1"
    assert f"video/x-raw, {mode}; image/jpeg, {mode}" in caps  # type: ignore[operator]


READ = """
import cv2, json, sys
capture = cv2.VideoCapture(sys.argv[1], cv2.CAP_GSTREAMER)
frames = []
while len(frames) < int(sys.argv[2]):
    read, image = capture.read()
    if not read:
        break
    frames.append(image)
if frames:
    h, w = frames[0].shape[:2]
    corners = [image[y, x].tolist() for image in frames[:1] for y, x in
               ((4, 4), (4, w - 5), (h - 5, w - 5), (h - 5, 4))]
    print(json.dumps([len(frames), [w, h], corners]))
else:
    print(json.dumps([0, [], []]))
"""
"""Frames, size and the colours of the corners, clockwise from the upper left."""


def read(text: str, frames: int = 1000) -> tuple[int, list[int], list[list[int]]]:
    """Open a pipeline with the OpenCV of the distribution, which has GStreamer."""
    if not debian_can(
        "import cv2; assert 'GStreamer:                   YES' in cv2.getBuildInformation()"
    ):
        pytest.skip("needs an OpenCV with GStreamer: apt install python3-opencv")
    done = subprocess.run(
        [DEBIAN, "-c", READ, text, str(frames)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    count, size, corners = json.loads(done.stdout)
    return count, size, corners


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of 160x96 whose upper left corner is white, under a name that needs care."""
    cv2 = pytest.importorskip("cv2", reason="needs the package opencv-python")
    plain = tmp_path_factory.mktemp("clips") / "clip.mp4"
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter_fourcc(*"mp4v"), 25, (160, 96))
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:32, :32] = 255
    for _ in range(40):
        writer.write(picture)
    writer.release()
    odd = plain.with_name('it\'s a "take" ! fakesink [1] \\ é.mp4')
    plain.rename(odd)
    return odd


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_every_frame_of_a_file_comes_turned_as_asked(clip: Path, degrees: int) -> None:
    text = pipeline(f"{clip}?rotation={degrees}", installed_elements(), newest=False)
    count, size, corners = read(text)
    assert count == 40
    assert size == ([160, 96] if degrees in (0, 180) else [96, 160])
    white = [min(colour) > 200 for colour in corners]
    # Clockwise from the upper left: a quarter turn moves the white corner on by one.
    assert white.index(True) == degrees // 90
    assert white.count(True) == 1


def test_a_file_that_gstreamer_decodes_comes_whole_and_in_order_and_ends(clip: Path) -> None:
    """As on a board, where its process reads it by the hardware's elements."""
    read("videotestsrc num-buffers=1 ! videoconvert ! video/x-raw,format=BGR ! appsink")
    text = pipeline(str(clip), installed_elements(), newest=False)
    opening = Opening(text, "gstreamer", live=False, python=DEBIAN)
    camera = Camera(opening, name=clip.name, keep="all")
    with closing(camera):
        frames = [(frame.index, frame.width) for frame in camera]
    assert frames == [(index, 160) for index in range(40)]


class HttpCamera(http.server.BaseHTTPRequestHandler):
    """Sends JPEG pictures without end, as cameras with http:// do."""

    picture = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for _ in range(2000):
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.picture)}"
                self.wfile.write(head.encode() + b"\r\n\r\n" + self.picture + b"\r\n")
        except OSError:
            return  # The reader has seen enough.

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


def test_pictures_of_an_http_camera_come(clip: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="needs the package opencv-python")
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:32, :32] = (255, 0, 0)
    HttpCamera.picture = cv2.imencode(".jpg", picture)[1].tobytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HttpCamera)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/video?a=1&b=2"
        count, size, corners = read(pipeline(address, installed_elements()), 20)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (count, size) == (20, [160, 96])
    assert corners[0][0] > 200  # Blue: BGR.
    assert max(corners[2]) < 50


@pytest.mark.parametrize("codec", ["auto", "h264"])
def test_pictures_of_an_rtsp_camera_come(codec: str) -> None:
    needed = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not debian_can(needed):
        pytest.skip("needs an RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gi")
    server = subprocess.Popen(
        [DEBIAN, str(HERE / "rtsp_server.py"), "0", "320x240", "25", "admin:p@ss"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with server:
        assert server.stdout
        try:
            port = server.stdout.readline().split()[1]
            address = f"rtsp://admin:p%40ss@127.0.0.1:{port}/cam?codec={codec}&latency_ms=50"
            count, size, _ = read(pipeline(address, installed_elements()), 15)
        finally:
            server.kill()
    assert (count, size) == (15, [320, 240])
