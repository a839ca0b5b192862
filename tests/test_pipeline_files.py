"""What a run reads and what it writes: sources by name, events as CSV and JSON, videos."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.errors import ConfigError, DataError, EdgeError, UnknownName, UsageError
from edgesdk.frames import Frame
from edgesdk.pipeline import Event, Packet, Pipeline, VideoFile, event_file, open_source
from edgesdk.pipeline.times import Durations
from edgesdk.sim import TrafficScene, TrafficSettings


@dataclass(frozen=True)
class Passed(Event):
    label: str
    x_px: float


def packet(index: int, *events: Event, level: int = 0) -> Packet:
    image = np.full((48, 64, 3), level, np.uint8)
    return Packet(Frame(image, index, index * 40_000_000, 0), events=events)


EVENTS = [Passed(3, 120.0, "car", 1.5), Passed(3, 120.0, 'a "big", truck', 2.0)]


def test_csv_has_a_header_and_a_line_for_each_event(tmp_path: Path) -> None:
    sink = event_file(tmp_path / "a.csv", Passed)
    sink.accept(packet(0))
    sink.accept(packet(3, *EVENTS))
    sink.close()
    text = (tmp_path / "a.csv").read_text()
    assert text.splitlines()[0] == "frame,time_ms,label,x_px"
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["label"] for row in rows] == ["car", 'a "big", truck']
    assert float(rows[1]["x_px"]) == 2.0


def test_a_csv_without_events_still_has_its_header(tmp_path: Path) -> None:
    sink = event_file(tmp_path / "a.csv", Passed)
    sink.accept(packet(0))
    sink.close()
    assert (tmp_path / "a.csv").read_text() == "frame,time_ms,label,x_px\n"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_events_of_a_camera_say_what_time_it_was(tmp_path: Path, name: str) -> None:
    """Media time says nothing of the hour. The frame was captured two seconds before its event."""
    sink = event_file(tmp_path / name, Passed, live=True)
    seen = time.monotonic_ns() - 2_000_000_000
    before = datetime.now(timezone.utc)
    sink.accept(Packet(Frame(packet(0).frame.image, 3, 0, seen), events=(EVENTS[0],)))
    after = datetime.now(timezone.utc)
    sink.close()
    text = (tmp_path / name).read_text()
    if name == "a.csv":
        assert text.splitlines()[0] == "frame,time_ms,label,x_px,time_utc"
        (row,) = csv.DictReader(text.splitlines())
    else:
        row = json.loads(text) if name == "a.jsonl" else json.loads(text)[0]
    told = datetime.fromisoformat(row["time_utc"].replace("Z", "+00:00")) + timedelta(seconds=2)
    assert before - timedelta(milliseconds=2) <= told <= after + timedelta(milliseconds=2)


def test_json_lines_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    sink = event_file(tmp_path / "a.jsonl", Passed)
    sink.accept(packet(3, *EVENTS))
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"frame": 3, "time_ms": 120.0, "label": "car", "x_px": 1.5}
    assert len(lines) == 2
    sink.close()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_a_number_that_is_none_is_left_empty_and_ends_no_run(tmp_path: Path, name: str) -> None:
    """An inspection has no score where it saw no part. JSON has no NaN."""
    numbers = [float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float32(2.5)]
    sink = event_file(tmp_path / name, Passed)
    sink.accept(packet(3, *[Passed(np.int64(3), 120.0, "car", x) for x in numbers]))  # type: ignore[arg-type]
    sink.close()
    text = (tmp_path / name).read_text()
    if name == "a.csv":
        found = [(row["frame"], row["x_px"]) for row in csv.DictReader(text.splitlines())]
        assert found == [("3", ""), ("3", ""), ("3", ""), ("3", ""), ("3", "2.5")]
        return
    rows = json.loads(text) if name == "a.json" else [json.loads(t) for t in text.splitlines()]
    assert [(row["frame"], row["x_px"]) for row in rows] == [(3, None)] * 4 + [(3, 2.5)]


@pytest.mark.parametrize("events", [[], EVENTS[:1], EVENTS])
def test_json_is_one_array_that_appears_when_it_is_whole(
    tmp_path: Path, events: list[Event]
) -> None:
    path = tmp_path / "a.json"
    sink = event_file(path, Passed)
    sink.accept(packet(3, *events))
    assert not path.exists()
    sink.close()
    assert [row["label"] for row in json.loads(path.read_text())] == [e.label for e in events]
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_frames_leaves_the_old_events(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    event_file(tmp_path / "a.csv", Passed).close()
    assert (tmp_path / "a.csv").read_text() == "old"


def test_another_extension_is_a_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.jsonl, \.json"):
        event_file(tmp_path / "a.xlsx", Passed)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    sink = event_file(tmp_path / "file" / name, Passed)
    with pytest.raises(EdgeError, match="cannot write"):
        sink.accept(packet(0))


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    code = f"""
        import resource, signal
        from pathlib import Path
        from dataclasses import dataclass
        import numpy as np
        from edgesdk.errors import EdgeError
        from edgesdk.frames import Frame
        from edgesdk.pipeline import Event, Packet, event_file
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        sink = event_file(Path({str(tmp_path)!r}) / "a.csv", Event)
        frame = Frame(np.zeros((1, 1, 3), np.uint8), 0, 0, 0)
        try:
            for i in range(1000):
                sink.accept(Packet(frame, events=(Event(i, 123.456),)))
        except EdgeError as error:
            print(error)
        sink.close()
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "cannot write" in run.stdout
    text = (tmp_path / "a.csv").read_text()
    assert text.endswith(",123.456\n")
    assert [int(row["frame"]) for row in csv.DictReader(text.splitlines())] == list(
        range(text.count("\n") - 1)
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_an_annotated_video_has_a_picture_for_each_packet(tmp_path: Path, name: str) -> None:
    sink = VideoFile(tmp_path / name, 10.0, lambda p: p.frame.image + np.uint8(50))
    for i in range(8):
        sink.accept(packet(i, level=i * 10))
    assert not (tmp_path / name).exists()
    sink.close()
    capture = cv2.VideoCapture(str(tmp_path / name))
    levels = [float(capture.read()[1].mean()) for _ in range(8)]
    assert levels == pytest.approx([50 + 10 * i for i in range(8)], abs=4)
    assert not capture.read()[0]


def _mounted(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_video_that_fills_the_disk_ends_playable_with_one_warning_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=17m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or not _mounted(mount):
        pytest.skip("needs root to mount a small disk")
    noise = np.random.default_rng(0)
    try:
        sink = VideoFile(
            disk / name, 10.0, lambda p: noise.integers(0, 255, (480, 640, 3), np.uint8)
        )
        for i in range(60):
            sink.accept(packet(i))
        sink.close()
        (said,) = caplog.messages
        written = int(said.partition("ends after ")[2].partition(" frames")[0])
        assert 0 < written < 60
        capture = cv2.VideoCapture(str(disk / name))
        assert sum(iter(lambda: capture.read()[0], False)) == written
        capture.release()
        assert [path.name for path in disk.iterdir()] == [name]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_camera_that_comes_back_with_another_size_does_not_end_its_video(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wide picture keeps its aspect: 64 x 16 has black above and below, 16 of 48 rows each."""
    sink = VideoFile(tmp_path / "v.mp4", 10.0, lambda p: p.frame.image)
    shapes = [(48, 64), (96, 128), (32, 128), (32, 128), (48, 64)]
    for i, shape in enumerate(shapes):
        sink.accept(Packet(Frame(np.full((*shape, 3), 200, np.uint8), i, 0, 0)))
    sink.close()
    capture = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    read = [capture.read()[1] for _ in shapes]
    assert {picture.shape for picture in read} == {(48, 64, 3)}
    for whole in (0, 1, 4):
        assert read[whole].min() > 180
    for wide in (2, 3):
        assert read[wide][:12].max() < 30
        assert read[wide][20:28].min() > 170
        assert read[wide][-12:].max() < 30
    assert caplog.text.count("began with 64x48, and pictures of 128x96 are scaled") == 1
    assert len(caplog.records) == 1


def test_a_folder_of_pictures_comes_in_natural_order(tmp_path: Path) -> None:
    for i in (1, 2, 10, 20):
        cv2.imwrite(str(tmp_path / f"p{i}.png"), np.full((20, 30, 3), i, np.uint8))
    source = open_source(str(tmp_path))
    assert [int(frame.image[0, 0, 0]) for frame in source] == [1, 2, 10, 20]
    assert (source.size, source.count, source.live) == ((30, 20), 4, False)


def test_an_unreadable_picture_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in (1, 2):
        cv2.imwrite(str(tmp_path / f"p{i}.png"), np.full((20, 30, 3), i, np.uint8))
    (tmp_path / "p3.png").write_bytes(b"no picture")
    summary = Pipeline(open_source(str(tmp_path)), []).run()
    assert summary.frames_captured == 2
    assert "1 pictures could not be read" in caplog.text
    assert "p3.png" in caplog.text


def test_a_simulation_gives_the_frames_of_its_scene() -> None:
    source = open_source("sim://traffic?seed=3&frames=4&width=128&height=96&fps=10")
    scene = TrafficScene(TrafficSettings(seed=3, frames=4, width=128, height=96, fps=10))
    frames = list(source)
    assert [f.time_ns for f in frames] == [0, 100_000_000, 200_000_000, 300_000_000]
    assert all(np.array_equal(f.image, scene.frame(f.index)) for f in frames)
    assert (source.size, source.count, source.fps) == ((128, 96), 4, 10.0)


def test_a_kind_of_source_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'rstp'") as caught:
        open_source("rstp://camera/1")
    assert "rtsp" in caught.value.hint


def test_the_files_of_a_pattern_come_in_natural_order(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"shot{i}.png"), np.full((20, 30, 3), i, np.uint8))
    cv2.imwrite(str(tmp_path / "other.png"), np.full((20, 30, 3), 99, np.uint8))
    source = open_source(f"{tmp_path}/shot*.png")
    assert [int(frame.image[0, 0, 0]) for frame in source] == [1, 2, 10]
    assert (source.size, source.count, source.live) == ((30, 20), 3, False)


def test_a_pattern_that_nothing_matches_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\*\.jpg: no file matches"):
        open_source(f"{tmp_path}/*.jpg")


def test_pictures_that_a_program_makes_are_a_source() -> None:
    pictures = (np.full((20, 30, 3), i, np.uint8) for i in range(5))
    source = open_source(pictures)
    assert (source.size, source.count, source.live) == ((30, 20), None, False)
    frames = list(source)
    assert [(f.index, int(f.image[0, 0, 0])) for f in frames] == [(i, i) for i in range(5)]
    assert [f.time_ns for f in frames] == [i * 40_000_000 for i in range(5)]


def test_a_picture_of_another_type_is_named_with_what_it_should_be() -> None:
    pictures = [np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30, 3), np.float32)]
    with pytest.raises(DataError, match=r"pictures\[1\].*uint8.*found float32 of shape"):
        list(open_source(pictures))


def test_an_iterable_without_a_picture_is_an_error() -> None:
    with pytest.raises(DataError, match="no picture"):
        open_source([])


@pytest.mark.parametrize("name", ["absent.mp4", "absent", "absent.tar#val"])
def test_a_source_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"absent.*: no such file"):
        open_source(str(tmp_path / name))


def test_one_split_of_a_folder_can_be_named(tmp_path: Path) -> None:
    for split, level in (("train", 10), ("val", 20)):
        (tmp_path / split).mkdir()
        cv2.imwrite(str(tmp_path / split / "a.png"), np.full((20, 30, 3), level, np.uint8))
    (frame,) = open_source(f"{tmp_path}#val")
    assert int(frame.image[0, 0, 0]) == 20


def test_a_wrong_key_of_a_simulation_is_named() -> None:
    with pytest.raises(ConfigError, match="sed"):
        open_source("sim://traffic?sed=3")


@given(st.lists(st.integers(100, 10**12), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantiles_are_right_to_one_percent(values: list[int], q: float) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    exact = np.quantile(values, q, method="inverted_cdf") / 1e6
    assert durations.quantile_ms(q) == pytest.approx(exact, rel=0.0101)
    assert (durations.count, durations.total_ns) == (len(values), sum(values))
    assert (durations.min_ns, durations.max_ns) == (min(values), max(values))


def test_a_duration_of_nothing_is_zero() -> None:
    assert Durations().quantile_ms(0.5) == 0.0
