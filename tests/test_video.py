"""Video files are read whole or refused, and written whole or not at all."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.errors import DataError, EdgeError, UsageError
from edgesdk.video import VideoWriter, read_video

SIZE = (96, 64)


def picture(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def clip(path: Path, frames: int = 30, code: str = "MJPG", fps: float = 10.0) -> Path:
    """Made by OpenCV directly, not by the code under test. Frame i is grey i * 4."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, SIZE)
    assert writer.isOpened()
    for i in range(frames):
        writer.write(picture(i * 4))
    writer.release()
    return path


def test_a_video_has_its_size_rate_and_number_of_frames(tmp_path: Path) -> None:
    video = read_video(clip(tmp_path / "a.avi", frames=30, fps=10.0))
    assert (video.width, video.height, video.fps, video.count) == (96, 64, 10.0, 30)


def test_every_frame_comes_once_in_order_with_its_media_time(tmp_path: Path) -> None:
    frames = list(read_video(clip(tmp_path / "a.avi", frames=30, fps=10.0)))
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time_ns for frame in frames] == [i * 100_000_000 for i in range(30)]
    assert [round(float(f.image.mean()) / 4) for f in frames] == list(range(30))
    captured = [frame.captured_ns for frame in frames]
    assert captured == sorted(captured)


def test_reading_twice_gives_the_same_frames(tmp_path: Path) -> None:
    video = read_video(clip(tmp_path / "a.avi", frames=5))
    first, second = list(video), list(video)
    assert len(first) == 5
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


def test_a_video_that_is_absent_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_video(tmp_path / "absent.mp4")


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        read_video(tmp_path)


def test_an_empty_file_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match="0 bytes"):
        read_video(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.avi", "text.webm"])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is not a video\n" * 500)
    with pytest.raises(DataError, match="not readable as a video"):
        read_video(tmp_path / name)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = clip(tmp_path / "none.avi", frames=0)
    with pytest.raises(DataError):
        read_video(path)


def test_an_mp4_cut_off_before_its_index_is_refused(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", code="mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated, damaged"):
        read_video(tmp_path / "cut.mp4")


def test_a_truncated_video_gives_its_frames_and_then_an_error(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.avi", frames=60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 6 // 10])
    frames = iter(read_video(tmp_path / "cut.avi"))
    assert [next(frames).index for _ in range(20)] == list(range(20))
    with pytest.raises(DataError, match=r"promises 60 frames, only \d+ can be decoded"):
        list(frames)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_what_is_written_can_be_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, 12.5, SIZE) as writer:
        for i in range(20):
            writer.write(picture(i * 10))
    capture = cv2.VideoCapture(str(path))
    levels = []
    while True:
        read, image = capture.read()
        if not read:
            break
        assert image.shape == (64, 96, 3)
        levels.append(float(image.mean()))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    assert levels == pytest.approx([i * 10 for i in range(20)], abs=4)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with contextlib.suppress(ZeroDivisionError), VideoWriter(path, 10, SIZE) as writer:
        writer.write(picture(1))
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", 10, SIZE)
    writer.write(picture(1))
    with pytest.raises(DataError, match="began with 96x64, found 32x32"):
        writer.write(picture(1, (32, 32)))
    writer.discard()
    assert not list(tmp_path.iterdir())


def test_a_video_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    VideoWriter(tmp_path / "a.mp4", 10, SIZE).close()
    assert not list(tmp_path.iterdir())


def test_another_kind_of_file_is_a_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.mp4 or \.webm"):
        VideoWriter(tmp_path / "a.gif", 10, SIZE)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeError, match="cannot write"):
        VideoWriter(tmp_path / "file" / "a.mp4", 10, SIZE)


def test_a_full_disk_is_noticed_and_nothing_is_left(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the writes fail in the same way."""
    code = f"""
        import resource, signal
        import numpy as np
        from pathlib import Path
        from edgesdk.errors import EdgeError
        from edgesdk.video import VideoWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        noise = np.random.default_rng(0)
        writer = VideoWriter(Path({str(tmp_path)!r}) / "a.mp4", 10, (96, 64))
        for _ in range(100):
            writer.write(noise.integers(0, 255, (64, 96, 3), np.uint8))
        try:
            writer.close()
        except EdgeError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "full disk" in run.stdout
    assert run.stderr == "", "not a line for each frame that the disk did not take"
    assert not list(tmp_path.iterdir())


def test_no_codec_chatter_reaches_the_user(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", code="mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    code = f"""
        from pathlib import Path
        from edgesdk.errors import DataError
        from edgesdk.video import read_video
        try:
            read_video(Path({str(tmp_path)!r}) / "cut.mp4")
        except DataError as error:
            print(error.message)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "truncated" in run.stdout
    assert run.stderr == ""


def test_writing_says_nothing_on_stderr(tmp_path: Path) -> None:
    code = f"""
        import numpy as np, sys
        from pathlib import Path
        from edgesdk.video import VideoWriter
        for name in ("a.webm", "a.mp4"):
            with VideoWriter(Path({str(tmp_path)!r}) / name, 10, (96, 64)) as writer:
                writer.write(np.zeros((64, 96, 3), np.uint8))
        print("still here", file=sys.stderr)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert run.stderr == "still here\n"
