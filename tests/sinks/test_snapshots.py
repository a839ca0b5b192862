"""Annotated pictures as files: the right ones, a bounded number, each whole."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.sinks import Measured, open_sink
from tests.sinks.samples import eventually, facts, leftovers, packet


def frames(folder: Path) -> list[int]:
    return [int(path.stem.rsplit("_", 1)[1]) for path in sorted(folder.glob("*.jpg"))]


def test_a_frame_with_an_event_is_kept_as_it_was_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "shots"
    drawn = dataclasses.replace(facts(), draw=lambda p: np.full((48, 64, 3), 200, np.uint8))
    sink = open_sink(f"snapshots:{folder}", drawn)
    for index in range(10):
        sink.accept(packet(index, *["car"] * (index in (3, 7))))
    sink.close()
    assert frames(folder) == [3, 7]
    image = cv2.imread(str(sorted(folder.iterdir())[0]))
    assert image.shape == (48, 64, 3)
    assert abs(int(image.mean()) - 200) <= 2


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("?every=1s", [0, 25, 50, 75]),
        ("?on=time&every=2s", [0, 50]),
        ("?on=time", [0]),
        ("?max=3", [97, 98, 99]),
    ],
)
def test_how_many_is_bounded_by_time_and_number(
    tmp_path: Path, options: str, kept: list[int]
) -> None:
    """Frames are 40 ms apart."""
    sink = open_sink(f"snapshots:{tmp_path}{options}", facts())
    for index in range(100):
        sink.accept(packet(index, "car"))
    sink.close()
    assert frames(tmp_path) == kept


def test_the_bound_holds_over_runs_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    for _ in range(3):
        sink = open_sink(f"snapshots:{tmp_path}?max=5", facts())
        for index in range(4):
            sink.accept(packet(index, "car"))
        sink.close()
    names = leftovers(tmp_path)
    assert len(names) == 6
    assert "holiday.jpg" in names


def test_each_stream_has_its_own_pace_and_name(tmp_path: Path) -> None:
    sink = open_sink(f"snapshots:{tmp_path}?every=10s", facts("gate", "yard"))
    for index in range(5):
        for stream in ("gate", "yard"):
            sink.accept(packet(index, "car", stream=stream))
    sink.close()
    assert sorted(name.split("_")[1] for name in leftovers(tmp_path)) == ["gate", "yard"]


def test_a_stream_named_by_an_address_makes_a_harmless_name(tmp_path: Path) -> None:
    name = "rtsp://admin:s3cret@10.0.0.7:554/../live?x=1"
    sink = open_sink(f"snapshots:{tmp_path}", facts(name))
    sink.accept(packet(0, "car", stream=name))
    sink.close()
    (made,) = leftovers(tmp_path)
    assert "s3cret" not in made
    assert made.split("_")[1] == "live"


def test_on_a_full_disk_pictures_are_lost_and_counted_and_none_is_half(tmp_path: Path) -> None:
    code = f"""
        import logging, resource, signal
        from edgesdk.sinks import open_sink
        from tests.sinks.samples import facts, packet
        logging.basicConfig(level="WARNING")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        sink = open_sink("snapshots:{tmp_path}/shots", facts())
        for index in range(20):
            sink.accept(packet(index, "car"))
        sink.close()
        print(sink.gauges())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'written': 0, 'dropped': 20}\n"
    assert done.stderr.count("cannot write") == 1  # at most once a minute
    assert leftovers(tmp_path / "shots") == []


def test_when_the_disk_takes_pictures_again_they_are_kept_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_sink(f"snapshots:{tmp_path}/shots", facts())
    (tmp_path / "shots").write_text("in the way")
    assert isinstance(sink, Measured)
    for index in range(3):
        sink.accept(packet(index, "car"))
    eventually(lambda: sink.gauges()["dropped"] == 3)
    (tmp_path / "shots").unlink()
    sink.accept(packet(3, "car"))
    sink.close()
    assert frames(tmp_path / "shots") == [3]
    assert "cannot write" in caplog.text


def test_an_old_picture_that_cannot_be_removed_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    sink = open_sink(f"snapshots:{tmp_path}?max=1", facts())
    sink.accept(packet(0, "car"))
    eventually(lambda: len(leftovers(tmp_path)) == 1)
    monkeypatch.setattr(Path, "unlink", denied)
    sink.accept(packet(1, "car"))
    sink.close()
    assert "Permission denied; 1 pictures are lost so far" in caplog.text


def test_a_thread_that_fails_by_a_defect_ends_the_run_and_does_not_hang_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object) -> None:
        raise RuntimeError("broken")

    sink = open_sink(f"snapshots:{tmp_path}", facts())
    monkeypatch.setattr(cv2, "imencode", broken)
    with pytest.raises(RuntimeError):  # noqa: PT012 - whichever of them meets it
        for index in range(40):  # more than may wait
            sink.accept(packet(index, "car"))
    sink.close()
