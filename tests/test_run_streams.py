"""`edgesdk run` on several sources: one model and events file, an own count and row for each."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk._resources import data_folder
from edgesdk.apps.naming import named_sources, of_stream
from edgesdk.errors import UsageError
from tests.squares import app_folder, crossing_clip

CODE = (data_folder("apps") / "traffic_counting" / "app.py").read_text()
SETTINGS = 'classes = ["square"]\nline_at = 0.5'


def edgesdk(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgesdk", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def clips(folder: Path) -> tuple[Path, Path]:
    """A whole clip with both crossings, and its first half, in which none is complete."""
    crossing_clip(folder / "whole.avi")
    writer = cv2.VideoWriter(
        str(folder / "start.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (192, 160)
    )
    for _ in range(25):
        writer.write(np.full((160, 192, 3), 20, np.uint8))
    writer.release()
    return folder / "whole.avi", folder / "start.avi"


@pytest.mark.parametrize("batch", [1, 4])
def test_each_stream_is_counted_for_itself(tmp_path: Path, batch: int) -> None:
    whole, start = clips(tmp_path)
    app = app_folder(tmp_path / "squares", CODE, SETTINGS, batch)
    sources = ["--source", whole, "--source", start, "--source", f"again={whole}"]
    done = edgesdk("run", app, *sources, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    both = {"square": {"down": 1, "up": 1}}
    streams = {stream["name"]: stream for stream in result["streams"]}
    assert {name: stream["counts"] for name, stream in streams.items()} == {
        "whole": both,
        "start": {},
        "again": both,
    }
    assert result["totals"] == {"down": 2, "up": 2}
    assert result["frames_captured"] == result["frames_processed"] == 145


def test_all_streams_write_one_events_file_however_it_is_named(tmp_path: Path) -> None:
    whole, start = clips(tmp_path)
    app = app_folder(tmp_path / "squares", CODE, SETTINGS)
    (tmp_path / "out").mkdir()
    for options in (("--events", "out/a.csv"), ("--sink", "csv:out/b.csv")):
        sources = ("--source", whole, "--source", start, "--source", f"again={whole}")
        done = edgesdk("run", app, *sources, *options, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    told = (tmp_path / "out/a.csv").read_text().splitlines()
    assert told[0].split(",")[:4] == ["frame", "time_ms", "stream", "label"]
    assert sorted(row["stream"] for row in csv.DictReader(told)) == ["again"] * 2 + ["whole"] * 2
    assert sorted(told) == sorted((tmp_path / "out/b.csv").read_text().splitlines())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{file}{kind}.csv" for file in "ab" for kind in ("", "-visit", "-count")}


def test_people_get_a_row_for_each_stream(tmp_path: Path) -> None:
    whole, start = clips(tmp_path)
    app = app_folder(tmp_path / "squares", CODE, SETTINGS)
    done = edgesdk("run", app, "--source", whole, "--source", start, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("Streams", "whole", "start", "Threads", "age at the end"):
        assert words in done.stdout


def test_the_table_of_streams_can_be_read_on_a_narrow_terminal(tmp_path: Path) -> None:
    """80 columns, as in a log; four columns of counts made "cap…" and "str…" of the headings."""
    lines = "\n".join(
        f"[[settings.lines]]\nname = '{name}'\nstart = [0, {y}]\nend = [192, {y}]"
        for name, y in (("northern entrance", 60), ("southern entrance", 100))
    )
    whole, start = clips(tmp_path)
    app = app_folder(tmp_path / "squares", CODE, f"{SETTINGS}\n{lines}")
    done = edgesdk("run", app, "--source", whole, "--source", start, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout
    assert "Counts by stream" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_stream_that_fails_is_told_of_and_the_others_are_counted(tmp_path: Path) -> None:
    whole, start = clips(tmp_path)
    start.write_bytes(whole.read_bytes()[: whole.stat().st_size * 8 // 10])
    app = app_folder(tmp_path / "squares", CODE, SETTINGS)
    done = edgesdk("run", app, "--source", whole, "--source", start, "--json", cwd=tmp_path)
    assert done.returncode == 1
    result = json.loads(done.stdout)
    failed = result["streams"][1]
    assert (failed["ended"], result["streams"][0]["ended"]) == ("failed", "source ended")
    assert "truncated or damaged" in failed["error"]
    assert "truncated or damaged" in done.stderr
    assert result["streams"][0]["counts"] == {"square": {"down": 1, "up": 1}}


@pytest.mark.parametrize(
    "output",
    [
        ("--sink", "jsonl:start.avi"),
        ("--sink", "video:road.mp4"),  # becomes road-again.mp4
        ("--video", "road.mp4"),
    ],
)
def test_no_source_of_a_run_is_written_over(tmp_path: Path, output: tuple[str, str]) -> None:
    whole, start = clips(tmp_path)
    other = tmp_path / "road-again.mp4"
    other.write_bytes(whole.read_bytes())
    before = {path: path.read_bytes() for path in (whole, start, other)}
    app = app_folder(tmp_path / "squares", CODE, SETTINGS)
    sources = ["--source", whole, "--source", f"again={start}", "--source", f"third={other}"]
    done = edgesdk("run", app, *sources, *output, cwd=tmp_path)
    assert done.returncode == 2
    assert "is a source of this run: it would be written over" in done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_newest_plays_a_file_like_a_camera(tmp_path: Path) -> None:
    whole, _ = clips(tmp_path)
    app = app_folder(tmp_path / "squares", CODE, SETTINGS)
    done = edgesdk("run", app, "--source", whole, "--policy", "newest", "--json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert (result["policy"], result["frames_captured"]) == ("newest", 60)
    assert result["frames_processed"] + result["frames_dropped"] == 60
    assert result["seconds"] >= 59 / 20 * 0.98


def test_sources_are_named_by_their_user_their_file_or_their_kind(tmp_path: Path) -> None:
    odd = tmp_path / "a=b.mp4"
    odd.touch()
    texts = ["gate=rtsp://u:p@host/1", "rtsp://u:p@host/2", "/dev/video0", "x/north side.mp4"]
    named = dict(named_sources([*texts, str(odd)]))
    assert list(named) == ["gate", "rtsp2", "camera3", "north_side", "a_b"]
    assert named["gate"] == "rtsp://u:p@host/1"
    pipelines = ["gst:rtspsrc user-pw=s3cret location=rtsp://host/1 ! appsink", "gst:x ! appsink"]
    assert [name for name, _ in named_sources(pipelines)] == ["gst1", "gst2"]
    with pytest.raises(UsageError, match="'a' twice"):
        named_sources(["x/a.mp4", "y/a.mp4"])
    with pytest.raises(UsageError, match="'b' twice") as refused:
        named_sources(["a=rtsp://u:s3cret@host/1", "b=rtsp://u:s3cret@host/2", "b=c.mp4"])
    assert refused.value.hint == "name them: --source b_1=rtsp://u:***@host/2"


def test_files_of_streams_are_told_apart() -> None:
    assert of_stream(Path("out/e.csv"), "gate") == Path("out/e-gate.csv")
    assert of_stream(Path("out/e.csv"), "") == Path("out/e.csv")
