"""Which reader and pipeline a machine gets for a source, and what doctor says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgesdk.capture import Machine, choose, parse_source
from edgesdk.capture.machine import Has, installed_elements, machine_of
from edgesdk.cli.run import command
from edgesdk.doctor import Finding, camera_findings
from edgesdk.errors import DataError, EdgeError, MissingExtra, UsageError

# As cv2.getBuildInformation() prints them.
DEBIAN = """General configuration for OpenCV 4.6.0 =====
  Video I/O:
    DC1394:                      YES (2.2.6)
    FFMPEG:                      YES
      avcodec:                   YES (59.37.100)
    GStreamer:                   YES (1.22.0)
    v4l/v4l2:                    YES (linux/videodev2.h)
"""
PIP = """General configuration for OpenCV 5.0.0 =====
  Video I/O:
    FFMPEG:                      YES
    GStreamer:                   NO
    v4l/v4l2:                    YES (linux/videodev2.h)
"""
JETPACK = """General configuration for OpenCV 4.8.0 =====
  Video I/O:
    FFMPEG:                      YES
    GStreamer:                   YES (1.20.3)
    v4l/v4l2:                    YES (linux/videodev2.h)
"""


def everything(name: str) -> bool:
    return bool(name)


def no_hardware(name: str) -> bool:
    return not name.startswith("nv")


def nothing(name: str) -> bool:
    return not name


BOARD = machine_of(JETPACK, everything)
BOARD_WITH_PIP = machine_of(PIP, everything)
DEBIAN_DESK = machine_of(DEBIAN, no_hardware)
PIP_DESK = machine_of(PIP, no_hardware)


@pytest.mark.parametrize(
    ("text", "machine", "reader", "begins"),
    [
        ("csi://0", BOARD, "gstreamer", "nvarguscamerasrc"),
        ("usb://0", BOARD, "gstreamer", "v4l2src"),
        ("usb://0", BOARD_WITH_PIP, "v4l2", "/dev/video0"),
        ("usb://0", DEBIAN_DESK, "v4l2", "/dev/video0"),
        ("rtsp://cam/x", BOARD, "gstreamer", "rtspsrc"),
        ("rtsp://cam/x", DEBIAN_DESK, "gstreamer", "rtspsrc"),
        ("rtsp://cam/x", PIP_DESK, "ffmpeg", "rtsp://cam/x"),
        ("http://cam/x", BOARD, "gstreamer", "souphttpsrc"),
        ("http://cam/x", DEBIAN_DESK, "ffmpeg", "http://cam/x"),
        ("http://cam/x.m3u8", BOARD, "ffmpeg", "http://cam/x.m3u8"),
        ("clip.mp4", BOARD, "gstreamer", "filesrc"),
        ("clip.mp4", DEBIAN_DESK, "ffmpeg", "clip.mp4"),
        ("gst:videotestsrc ! appsink", DEBIAN_DESK, "gstreamer", "videotestsrc"),
    ],
)
def test_the_reader_follows_from_what_the_machine_has(
    text: str, machine: Machine, reader: str, begins: str
) -> None:
    choice = choose(parse_source(text), machine)
    assert choice.reader == reader
    assert choice.opens.startswith(begins)
    assert choice.reasons
    assert all(len(reason) > 10 for reason in choice.reasons)


@pytest.mark.parametrize("text", ["csi://0", "gst:videotestsrc ! appsink"])
def test_without_gstreamer_in_opencv_it_is_said_how_to_get_it(text: str) -> None:
    with pytest.raises(DataError) as caught:
        choose(parse_source(text), BOARD_WITH_PIP)
    for word in (text, "5.0.0", "without GStreamer", "pip uninstall", "--system-site-packages"):
        assert word in str(caught.value)


def test_what_the_pipeline_does_not_turn_is_left_to_the_reader_of_frames() -> None:
    assert choose(parse_source("csi://0?rotation=90"), BOARD).rotation == 0
    assert choose(parse_source("rtsp://cam/x?rotation=90"), PIP_DESK).rotation == 90
    assert choose(parse_source("usb://0?rotation=180"), PIP_DESK).rotation == 180


def test_a_usb_camera_is_told_its_format_before_its_size_before_its_rate() -> None:
    uri = parse_source("usb://0?width=1280&height=720&fps=30&exposure_ms=5")
    properties = choose(uri, PIP_DESK).properties
    assert [name for name, _ in properties] == [
        "CAP_PROP_FOURCC",
        "CAP_PROP_FRAME_WIDTH",
        "CAP_PROP_FRAME_HEIGHT",
        "CAP_PROP_FPS",
        "CAP_PROP_AUTO_EXPOSURE",
        "CAP_PROP_EXPOSURE",
    ]
    cv2 = pytest.importorskip("cv2", reason="needs the package opencv-python")
    values = dict(properties)
    assert values["CAP_PROP_FOURCC"] == cv2.VideoWriter_fourcc(*"MJPG")
    assert values["CAP_PROP_EXPOSURE"] == 50  # Tenths of a millisecond.
    assert all(hasattr(cv2, name) for name in values)


def test_ffmpeg_is_told_transport_and_latency_in_its_own_words() -> None:
    uri = parse_source("rtsp://cam/x?transport=udp&latency_ms=80")
    environment = dict(choose(uri, PIP_DESK).environment)
    options = environment["OPENCV_FFMPEG_CAPTURE_OPTIONS"].split("|")
    assert options == ["rtsp_transport;udp", "max_delay;80000", "fpsprobesize;5", "fflags;nobuffer"]
    waiting = choose(uri, PIP_DESK, newest=False).environment
    assert "nobuffer" not in str(waiting)


@pytest.mark.parametrize("machine", [BOARD, PIP_DESK])
def test_a_password_is_in_what_is_opened_and_in_nothing_that_is_shown(machine: Machine) -> None:
    choice = choose(parse_source("rtsp://admin:hunter2@cam/x?token=hunter2"), machine)
    assert "hunter2" in choice.opens
    assert "hunter2" not in choice.shown
    assert "hunter2" not in repr(choice)
    assert "hunter2" not in " ".join(choice.reasons)


@pytest.mark.parametrize("text", ["pictures/", "sim://traffic"])
def test_pictures_and_simulations_have_no_pipeline(text: str) -> None:
    with pytest.raises(UsageError, match="without a pipeline"):
        choose(parse_source(text), PIP_DESK)


def test_without_the_tools_elements_are_known_by_their_plugins_files(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/aarch64-linux-gnu/gstreamer-1.0"
    folder.mkdir(parents=True)
    for name in ("nvvideo4linux2", "nvvidconv", "videoconvertscale", "jpegformat"):
        (folder / f"libgst{name}.so").touch()
    has = installed_elements(tmp_path)
    assert has("nvv4l2decoder")
    assert has("nvvidconv")
    assert has("videoconvert")
    assert has("jpegparse")
    assert not has("nvarguscamerasrc")
    assert machine_of(JETPACK, has).board


# Doctor


def finding(build: str | MissingExtra, has: Has, name: str, *, on_board: bool = True) -> Finding:
    return next(f for f in camera_findings(build, has, on_board=on_board) if f.name == name)


def test_doctor_tells_a_ready_board_how_its_cameras_are_read() -> None:
    csi = finding(JETPACK, everything, "CSI camera")
    assert csi.status == "ok"
    assert "nvarguscamerasrc" in csi.found
    decoder = finding(JETPACK, everything, "hardware decoder")
    assert (decoder.status, decoder.found) == ("ok", "nvv4l2decoder")


@pytest.mark.parametrize(
    ("build", "has", "name", "found", "fix"),
    [
        (PIP, everything, "CSI camera", "not usable", "python3-opencv"),
        (PIP, everything, "hardware decoder", "no GStreamer", "python3-opencv"),
        (JETPACK, no_hardware, "CSI camera", "nvarguscamerasrc", "nvidia-l4t-gstreamer"),
        (JETPACK, no_hardware, "hardware decoder", "nvv4l2decoder", "nvidia-l4t-gstreamer"),
    ],
)
def test_doctor_tells_a_board_what_is_missing_and_what_to_install(
    build: str, has: Has, name: str, found: str, fix: str
) -> None:
    one = finding(build, has, name)
    assert one.status in ("problem", "absent")
    assert found in one.found
    assert fix in one.fix


def test_doctor_tells_a_desk_what_reads_what_and_asks_for_nothing() -> None:
    one = finding(PIP, nothing, "cameras", on_board=False)
    assert one.status == "info"
    assert one.fix == ""
    assert "RTSP by FFmpeg" in one.found
    assert "RTSP by GStreamer" in finding(DEBIAN, no_hardware, "cameras", on_board=False).found
    assert camera_findings(MissingExtra("no OpenCV"), nothing, on_board=True) == ()


# edgesdk run --print-pipeline


def printed(*arguments: str) -> str:
    pytest.importorskip("cv2", reason="needs the package opencv-python")
    result = CliRunner().invoke(command, ["traffic_counting", "--print-pipeline", *arguments])
    if isinstance(result.exception, EdgeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_print_pipeline_says_how_each_source_would_be_opened_and_opens_none() -> None:
    out = printed("--source", "gate=rtsp://ann:pw12@nowhere.invalid/x", "--source", "sim://line")
    lines = out.splitlines()
    assert lines[0] == "# gate: rtsp://ann:***@nowhere.invalid/x"
    assert any("nowhere.invalid" in line for line in lines if not line.startswith("#"))
    assert lines[-1] == "# read without a pipeline"
    assert "pw12" not in out


def test_print_pipeline_as_json() -> None:
    (one,) = json.loads(printed("--source", "clip.mp4", "--json"))
    assert one["kind"] == "video"
    assert one["pipeline"]
    assert one["reasons"]


def test_print_pipeline_of_a_wrong_source_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown key 'fsp'"):
        printed("--source", "csi://0?fsp=30")
