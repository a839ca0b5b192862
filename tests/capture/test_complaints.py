"""What FFmpeg and GStreamer write is read for its meaning, and passwords in it are not kept."""

from __future__ import annotations

import pytest

from edgesdk.capture.complaints import Complaints

# Lines as OpenCV 5.0.0 (FFmpeg) and OpenCV 4.6.0 (GStreamer 1.22) wrote them.
FFMPEG_401 = """\
[OPENCV:FFMPEG:40] Successfully connected to 127.0.0.1 port 18557
[OPENCV:FFMPEG:16] method DESCRIBE failed: 401 (Unauthorized)
[ WARN:0@0.066] global cap.cpp:212 open VIDEOIO(FFMPEG): backend is generally available but can't \
be used to capture by name
"""
GSTREAMER_404 = """\
[ WARN:0@0.428] global ./modules/videoio/src/cap_gstreamer.cpp (2401) handleMessage OpenCV | \
GStreamer warning: Embedded video playback halted; module rtspsrc0 reported: Not found
[ WARN:0@0.429] global ./modules/videoio/src/cap_gstreamer.cpp (1356) open OpenCV | GStreamer \
warning: unable to start pipeline
[ WARN:0@0.429] global ./modules/videoio/src/cap_gstreamer.cpp (862) isPipelinePlaying OpenCV | \
GStreamer warning: GStreamer: pipeline have not been created
"""


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (FFMPEG_401, "method DESCRIBE failed: 401 (Unauthorized)"),
        (GSTREAMER_404, "rtspsrc0: Not found"),
        ("v=0\nm=video 0 RTP/AVP 96\n", ""),
        ("[OPENCV:FFMPEG:16] cannot open rtsp://ann:s3cret@host/x\n",
         "cannot open rtsp://ann:***@host/x"),
    ],
)  # fmt: skip
def test_the_line_that_tells_most_is_kept(text: str, last: str) -> None:
    one = Complaints()
    for start in range(0, len(text), 7):  # as it comes through a pipe: in pieces
        one.hear(text[start : start + 7].encode())
    assert one.last == last


def test_an_error_of_the_decoder_is_told_once() -> None:
    one = Complaints()
    one.hear(b"[OPENCV:FFMPEG:16] error while decoding MB 3 4, bytestream -5\n")
    assert (one.take_broken(), one.take_broken()) == (True, False)
    one.hear(b"[OPENCV:FFMPEG:40] Reinit context to 320x240, pix_fmt: yuv420p\n")
    assert not one.take_broken()


def test_a_new_size_is_told_and_the_same_again_is_not() -> None:
    one = Complaints()
    line = "[OPENCV:FFMPEG:40] Reinit context to %s, pix_fmt: yuv420p\n"
    one.hear((line % "320x240" + line % "320x240").encode())
    assert not one.take_resized()
    one.hear((line % "480x320").encode())
    assert (one.take_resized(), one.take_resized()) == (True, False)


def test_a_new_conversion_once_frames_came_is_a_new_size() -> None:
    """Lines of OpenCV 5.0.0 for JPEG pictures of 320x240, then of 640x480."""
    one = Complaints()
    line = (
        b"[OPENCV:FFMPEG:24] deprecated pixel format used, make sure you did set range correctly\n"
    )
    one.hear(line)
    assert (one.take_broken(), one.take_resized()) == (False, False)
    one.hear(line)  # the first one's line may be read after its frame
    assert not one.take_resized()
    one.take_broken()
    one.hear(line)
    assert (one.take_resized(), one.take_resized()) == (True, False)
    assert one.last == ""


def test_output_without_end_is_not_kept() -> None:
    one = Complaints()
    for _ in range(100):
        one.hear(b"x" * 65536)
    assert len(one._rest) < 10_000
