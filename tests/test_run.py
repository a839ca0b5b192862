"""`edgesdk run` as a user meets it: one object or tables, exit codes, files whole at the end."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk._resources import data_folder
from edgesdk.bundle import Accuracy, Manifest, Origin, Target, write_bundle
from edgesdk.cli._bundle_view import show_bundle
from edgesdk.cli.run import read_changes
from edgesdk.devices import device_names
from edgesdk.errors import UsageError
from edgesdk.model import Model
from edgesdk.video import read_video
from tests.squares import app_folder, crossing_clip, squares_model

CODE = (data_folder("apps") / "traffic_counting" / "app.py").read_text()
SETTINGS = 'classes = ["square"]\nline_at = 0.5'
EVERY_FRAME = """
from dataclasses import dataclass, replace
import time
from edgesdk.pipeline import Event, Step

@dataclass(frozen=True)
class Settings:
    pass

class Program:
    event = Event
    columns = ()
    def __init__(self, settings, scene):
        pass
    def stages(self):
        return (Step("tell", self.tell),)
    def draw(self, packet):
        return packet.frame.image
    def tell(self, packet):
        time.sleep(0.002)
        return replace(packet, events=(Event(packet.frame.index, 0.5),))
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return app_folder(tmp_path / "squares", CODE, SETTINGS)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return crossing_clip(tmp_path / "clip.avi")


def edgesdk(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgesdk", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_json_is_exactly_one_object_on_stdout(app: Path, clip: Path, tmp_path: Path) -> None:
    done = edgesdk("run", app, "--source", clip, "--json", "--events", tmp_path / "e.csv")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["counts"] == {"square": {"down": 1, "up": 1}}
    assert result["totals"] == {"down": 1, "up": 1}
    assert (result["frames_captured"], result["frames_processed"]) == (60, 60)
    assert result["model"]["kind"] == "float model"
    assert [s["name"] for s in result["stages"]][:3] == ["preprocess", "inference", "decode"]
    rows = list(csv.DictReader((tmp_path / "e.csv").read_text().splitlines()))
    assert sorted(row["direction"] for row in rows) == ["down", "up"]


def test_people_get_tables_of_counts_and_times(app: Path, clip: Path) -> None:
    done = edgesdk("run", app, "--source", clip)
    assert done.returncode == 0, done.stderr
    for word in ("square", "down", "up", "inference", "median", "60 of 60 frames"):
        assert word in done.stdout
    assert "no bundle was built yet" in done.stderr


def test_where_nothing_was_counted_the_totals_stand_alone(app: Path, clip: Path) -> None:
    done = edgesdk("run", app, "--source", clip, "--line", "0,1,9,1")
    assert done.returncode == 0, done.stderr
    title, top, heading, below, total = done.stdout.splitlines()[:5]
    assert (title.strip(), top[0], below[0]) == ("Counts", "┏", "┡")
    assert heading.replace("┃", " ").split() == ["down", "up"]
    assert total.replace("│", " ").split() == ["total", "0", "0"]


def test_the_line_can_be_named(app: Path, clip: Path) -> None:
    done = edgesdk("run", app, "--source", clip, "--line", "0,80,96,80", "--json")
    assert json.loads(done.stdout)["totals"] == {"down": 1, "up": 0}


def test_a_setting_can_be_changed(app: Path, clip: Path) -> None:
    done = edgesdk("run", app, "--source", clip, "--set", "forward=south", "--json")
    assert json.loads(done.stdout)["totals"] == {"south": 1, "up": 1}


def test_a_frame_limit_is_said(app: Path, clip: Path) -> None:
    done = edgesdk("run", app, "--source", clip, "--max-frames", 7, "--json")
    result = json.loads(done.stdout)
    assert (result["frames_captured"], result["ended"]) == (7, "frame limit")


def test_the_annotated_video_has_every_frame(app: Path, clip: Path, tmp_path: Path) -> None:
    done = edgesdk("run", app, "--source", clip, "--video", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    assert len(list(read_video(tmp_path / "out.mp4"))) == 60


@pytest.mark.parametrize(
    ("extra", "code", "words"),
    [
        (["--source", "absent.mp4"], 1, "no such file"),
        (["--source", "rstp://camera"], 2, "no kind of source named"),
        (["--source", "sim://trafic"], 2, "did you mean traffic"),
        (["--line", "0,220,640"], 2, "four numbers"),
        (["--set", "lines_at=1"], 2, "did you mean 'line_at'"),
        (["--set", "line_at"], 2, "KEY=VALUE"),
        (["--set", 'classes=["horse"]'], 2, "none of the classes"),
        (["--set", 'classes=["square", "nevr"]'], 2, "did you mean never"),
        (["--line", "nan,0,inf,200"], 2, "finite"),
        (["--line", "10,10,10,10"], 2, "no length"),
        (["--set", "line_at=5"], 2, "such as 0.6"),
        (["--set", "forward=up"], 2, "found 'up' for both"),
        (["--events", "e.xlsx"], 2, ".csv, .jsonl, .json"),
        (["--video", "v.gif"], 2, ".mp4 or .webm"),
        (["--backend", "onnxrutime"], 2, "did you mean onnxruntime"),
        (["--bundle", "absent.edge"], 1, "expected a bundle"),
        (["--max-frames", "0"], 2, "--max-frames"),
    ],
)
def test_a_mistake_is_one_paragraph_with_its_exit_code(
    app: Path, clip: Path, tmp_path: Path, extra: list[str], code: int, words: str
) -> None:
    before = sorted(tmp_path.iterdir())
    done = edgesdk("run", app, "--source", clip, *extra, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_truncated_video_fails_with_the_events_so_far(app: Path, tmp_path: Path) -> None:
    whole = crossing_clip(tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 8 // 10])
    done = edgesdk("run", app, "--source", tmp_path / "cut.avi", "--events", tmp_path / "e.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert "truncated or damaged: it promises 60 frames" in done.stderr
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 3


def test_a_bundle_takes_no_settings(tmp_path: Path) -> None:
    (tmp_path / "a.edge").mkdir()
    done = edgesdk("run", tmp_path / "a.edge", "--source", "sim://traffic", "--line", "0,1,2,3")
    assert done.returncode == 2
    assert "is a bundle" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_whole_files_and_a_summary(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """A run that would take minutes is interrupted once some events are in the file."""
    app = app_folder(tmp_path / "squares", EVERY_FRAME)
    source = "sim://traffic?frames=1000000&width=128&height=96"
    events, video = tmp_path / "e.csv", tmp_path / "v.mp4"
    options = ["--events", events, "--video", video, "--json"]
    command = [sys.executable, "-m", "edgesdk", "run", app, "--source", source, *options]
    run = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_lines(events, 20, run)
    run.send_signal(number)
    out, err = run.communicate(timeout=20)
    assert run.returncode == code, err
    result = json.loads(out)
    text = events.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert result["ended"] == "stopped"
    assert text.endswith("\n")
    assert [int(row["frame"]) for row in rows] == list(range(result["frames_processed"]))
    assert read_video(video).count == result["frames_processed"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.csv", "squares", "v.mp4"]


def wait_for_lines(path: Path, lines: int, run: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 60
    while not path.exists() or path.read_text().count("\n") < lines:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < give_up, "no events came"
        time.sleep(0.02)


def test_values_of_settings_are_json_or_text() -> None:
    table = read_changes(
        ["line=[1, 2, 3, 4]", "forward=in", "tracker.min_hits=4", "tracker.lost_s=9"], None
    )
    assert table == {
        "line": [1, 2, 3, 4],
        "forward": "in",
        "tracker": {"min_hits": 4, "lost_s": 9},
    }
    assert read_changes([], "0,1.5,2,3") == {"line": [0, 1.5, 2, 3]}


def test_a_setting_that_is_both_value_and_table_is_a_misuse() -> None:
    with pytest.raises(UsageError, match="tracker"):
        read_changes(["tracker=3", "tracker.min_hits=4"], None)


@pytest.mark.parametrize("source", ["/dev/video0", "rtsp://camera/1", "sim://traffic?seed=1"])
def test_a_source_in_the_place_of_an_app_is_told_from_it(source: str) -> None:
    done = edgesdk("run", source)
    assert done.returncode == 2
    assert f"edgesdk run traffic_counting --source {source}" in done.stderr


def test_how_long_a_camera_is_waited_for_can_be_said(app: Path) -> None:
    start_s = time.monotonic()
    done = edgesdk("run", app, "--source", "http://127.0.0.1:1/video.mjpg", "--wait", "1.5")
    assert done.returncode == 1, done.stderr
    assert "no picture within 1.5 s" in done.stderr
    assert time.monotonic() - start_s < 25


def test_a_password_in_the_place_of_an_app_is_not_shown() -> None:
    done = edgesdk("run", "rtsp://admin:s3cret@camera/1")
    assert done.returncode == 2
    assert "--source rtsp://admin:***@camera/1" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_names_with_brackets_and_colons_are_shown_as_they_are(clip: Path, tmp_path: Path) -> None:
    folder = app_folder(tmp_path / "squares", CODE, 'classes = ["cam[b]"]\nline_at = 0.5')
    spec = folder / "spec.toml"
    spec.write_text(spec.read_text().replace("square", "cam[b]"))
    events = tmp_path / "o[/b]" / "e.csv"
    names = ["--set", "forward=[bold]in", "--set", "backward=:car:"]
    done = edgesdk("run", folder, "--source", clip, "--events", events, *names)
    assert done.returncode == 0, done.stderr
    for text in ("cam[b]", "[bold]in", ":car:", f"written: {events}"):
        assert text in done.stdout


def test_a_bundle_and_its_pictures_are_named_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accuracy = Accuracy(source="cam[front]", pictures=2, held_out=True)
    manifest = Manifest(
        name="net",
        sdk_version="0",
        created="2026-01-01T00:00:00+00:00",
        precision="fp32",
        origin=Origin("net[v2]", "0" * 64, 17),
        target=Target("agx-orin-64gb", "6.2", "10.3", 17),
        spec=None,
        accuracy=accuracy,
    )
    (tmp_path / "x[").mkdir()
    model = Model.of(squares_model(), "squares")
    show_bundle(write_bundle(tmp_path / "x[/b].edge", model, manifest))
    # A table breaks a long path into lines.
    shown = "".join(capsys.readouterr().out.split())
    assert all(text in shown for text in ("x[/b].edge", "net[v2]", "cam[front]"))


def test_pictures_of_two_sizes_make_a_video_of_the_first(app: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, size in (("a.png", (64, 48)), ("b.png", (80, 60))):
        cv2.imwrite(str(folder / name), np.zeros((size[1], size[0], 3), np.uint8))
    done = edgesdk("run", app, "--source", folder, "--video", tmp_path / "v.mp4")
    assert done.returncode == 0, done.stderr
    assert "began with 64x48, and pictures of 80x60 are scaled" in done.stderr
    assert read_video(tmp_path / "v.mp4").count == 2


def test_names_of_devices_are_whole_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = edgesdk("devices").stdout
    assert all(name in shown for name in device_names())
