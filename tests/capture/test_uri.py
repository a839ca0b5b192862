"""Sources are named by URI: what each name means, which settings it takes, what is never shown."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.capture import CaptureSettings, parse_source, without_secrets
from edgesdk.capture.settings import NAMES, TAKEN
from edgesdk.errors import ConfigError, EdgeError, UnknownName

CASES = [
    ("csi://0", "csi", "0", True),
    ("csi://1?sensor_mode=3", "csi", "1", True),
    ("v4l2:///dev/video2", "v4l2", "/dev/video2", True),
    ("/dev/video0", "v4l2", "/dev/video0", True),
    ("/dev/v4l/by-id/usb-C920-index0", "v4l2", "/dev/v4l/by-id/usb-C920-index0", True),
    ("usb://0", "v4l2", "/dev/video0", True),
    ("usb://3?format=mjpg", "v4l2", "/dev/video3", True),
    ("rtsp://cam.local/live", "rtsp", "rtsp://cam.local/live", True),
    ("rtsps://cam.local:322/live", "rtsp", "rtsps://cam.local:322/live", True),
    ("http://cam/video.mjpg", "http", "http://cam/video.mjpg", True),
    ("https://cam/video.mjpg", "http", "https://cam/video.mjpg", True),
    ("gst:videotestsrc ! appsink", "gst", "videotestsrc ! appsink", True),
    ("gst:a ! appsink drop=1 ?watchdog_ms=900", "gst", "a ! appsink drop=1", True),
    ("gst:rtspsrc location=rtsp://c/1?fps=9 ! appsink", "gst",
     "rtspsrc location=rtsp://c/1?fps=9 ! appsink", True),
    ("clip.mp4", "video", "clip.mp4", False),
    ("CLIP.MKV", "video", "CLIP.MKV", False),
    ("file:///data/my%20clip.mp4", "video", "/data/my clip.mp4", False),
    ("clip.mp4?rotation=90", "video", "clip.mp4", False),
    ("pictures", "pictures", "pictures", False),
    ("set.tar#val", "pictures", "set.tar#val", False),
    ("shots/img_???.png", "pictures", "shots/img_???.png", False),
    ("shots/*.png?fps=10", "pictures", "shots/*.png", False),
    ("sim://traffic?seed=3", "sim", "sim://traffic?seed=3", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "location", "live"), CASES)
def test_a_name_says_what_it_is_and_where(text: str, kind: str, location: str, live: bool) -> None:
    found = parse_source(text)
    assert (found.kind, found.location, found.live) == (kind, location, live)
    assert found.text == text


def test_settings_are_read_from_the_name() -> None:
    found = parse_source("csi://0?width=1280&height=720&fps=29.97&rotation=90&exposure_ms=5")
    assert found.settings == CaptureSettings(
        width=1280, height=720, fps=29.97, rotation=90, exposure_ms=5.0
    )
    found = parse_source("rtsp://cam/live?latency_ms=100&transport=udp&codec=h265&watchdog_ms=800")
    assert found.settings == CaptureSettings(
        latency_ms=100, transport="udp", codec="h265", watchdog_ms=800
    )
    found = parse_source("gst:rtspsrc location=rtsp://c/1?fps=9 ! appsink?watchdog_ms=800")
    assert found.settings == CaptureSettings(watchdog_ms=800)


def test_what_belongs_to_the_camera_stays_in_its_address() -> None:
    found = parse_source("rtsp://cam/cam/realmonitor?channel=1&latency_ms=50&subtype=0&fps=15")
    assert found.location == "rtsp://cam/cam/realmonitor?channel=1&subtype=0&fps=15"
    assert found.settings == CaptureSettings(latency_ms=50)
    # Not unquoted and quoted again: some cameras are particular.
    found = parse_source("http://cam/mjpg?resolution=640x480&a=%20b+c&rotation=180&flag")
    assert found.location == "http://cam/mjpg?resolution=640x480&a=%20b+c&flag"


def test_a_file_may_be_called_what_it_likes(tmp_path: Path) -> None:
    odd = tmp_path / "take?rotation=90.mp4"
    odd.touch()
    found = parse_source(str(odd))
    assert found.location == str(odd)
    assert found.settings.rotation == 0
    folder = tmp_path / "clips.mp4"
    folder.mkdir()
    assert parse_source(str(folder)).kind == "pictures"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("csi://0?widht=1280", ["widht", "'width'"]),
        ("csi://0?width=1280", ["width", "without height", "both"]),
        ("csi://0?width=1280&height=9", ["height", "from 16", "9"]),
        ("csi://0?rotation=45", ["rotation", "90", "45"]),
        ("csi://0?fps=fast", ["fps", "a number", "fast"]),
        ("csi://0?fps=nan", ["fps", "nan"]),
        ("csi://0?transport=tcp", ["transport", "setting of rtsp", "not of csi"]),
        ("csi://front", ["front", "csi://0"]),
        ("csi://0/1", ["0/1", "names no camera"]),
        ("usb://0?format=h264", ["format", "'mjpg'", "h264"]),
        ("usb://0?fps=30&fps=15", ["'fps'", "twice"]),
        ("usb://0?fps", ["key=value"]),
        ("v4l2://cam ! fakesink", ["names no camera"]),
        ("rtsp://cam/live?latency=50", ["unknown key", "latency", "'latency_ms'"]),
        ("rtsp://cam/live?latncy_ms=50", ["unknown key", "latncy_ms", "'latency_ms'"]),
        ("rtsp://cam/live?exposure_ms=5", ["exposure_ms", "setting of csi, v4l2", "not of rtsp"]),
        ("rtsp://cam/live?latency_ms=-1", ["latency_ms", "from 0", "-1"]),
        ("rtsp://cam:port/live", ["not an address", "%40"]),
        ("rtsp:///live", ["no host"]),
        ("clip.mp4?fps=10", ["'fps'", "setting of csi, pictures, v4l2", "not of video"]),
        ("gst:videotestsrc ! fakesink", ["appsink"]),
        ("gst:videotestsrc ! appsink?watchdg_ms=900", ["watchdg_ms", "'watchdog_ms'"]),
        ("gst:videotestsrc ! appsink?fps=9", ["'fps'", "not of gst", "settings of gst: watchdog"]),
        ("clip\n.mp4", ["line breaks"]),
    ],
)  # fmt: skip
def test_a_wrong_name_is_refused_with_the_name_and_what_would_be_right(
    text: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source(text)
    for word in words:
        assert word in str(caught.value)
    assert text.partition("?")[0].partition("\n")[0] in str(caught.value)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="rtsp"):
        parse_source("rstp://cam/live")


def test_each_kind_takes_only_settings_that_exist() -> None:
    for kind, names in TAKEN.items():
        assert names <= NAMES, kind


# Secrets

letters = st.characters(min_codepoint=33, max_codepoint=126)
PASSWORD = st.text(letters, min_size=4, max_size=20).map(lambda text: "s3" + text)


@given(PASSWORD, st.sampled_from(["rtsp", "rtsps", "http", "https"]))
def test_no_password_is_ever_shown_however_it_is_written(password: str, scheme: str) -> None:
    """Those with / ? # are wrong in a URI, and may be refused; they are not shown either."""
    text = f"{scheme}://admin:{password}@cam.local:554/live?latency_ms=50"
    with contextlib.suppress(EdgeError):
        found = parse_source(text)
        assert password not in found.shown
        assert password not in repr(found)
        assert found.shown.endswith("@cam.local:554/live?latency_ms=50")
        return
    with pytest.raises(EdgeError) as caught:
        parse_source(text)
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:a%40b@cam/live", "rtsp://admin:***@cam/live"),
        ("rtsp://cam/live?user=admin&password=abc&channel=1",
         "rtsp://cam/live?user=admin&password=***&channel=1"),
        ("http://cam/v?access_token=abc", "http://cam/v?access_token=***"),
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("gst:rtspsrc location=rtsp://u:abc@cam/x user-pw=abc ! appsink",
         "gst:rtspsrc location=rtsp://u:***@cam/x user-pw=*** ! appsink"),
    ],
)  # fmt: skip
def test_logs_and_reports_show_the_rest_of_the_name(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert parse_source(text).shown == shown
