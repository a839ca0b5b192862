"""`edgesdk run --sink URI`, several times, and `uris` in app.toml."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import pytest

from edgesdk._resources import data_folder
from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.errors import BackendError, UnknownName, UsageError
from edgesdk.sinks import Addressed
from edgesdk.video import read_video
from tests.command import edgesdk
from tests.sinks.samples import eventually

pytest.importorskip("onnxruntime")

APP = data_folder("apps") / "traffic_counting"
SCENE = "sim://traffic?seed=3&frames=120"


def rows(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "SELECT stream, frame, label, direction FROM crossing ORDER BY rowid"
        ).fetchall()
    finally:
        connection.close()


def test_the_same_events_go_to_every_sink(tmp_path: Path) -> None:
    places = [f"sqlite:{tmp_path}/a.db", f"jsonl:{tmp_path}/a.jsonl", f"csv:{tmp_path}/a.csv"]
    options = [word for place in places for word in ("--sink", place)]
    done = edgesdk("run", str(APP), "--source", SCENE, *options, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lines) == sum(json.loads(done.stdout)["totals"].values()) > 0
    told = [(line["frame"], line["label"], line["direction"]) for line in lines]
    assert [row[1:] for row in rows(tmp_path / "a.db")] == told
    assert len((tmp_path / "a.csv").read_text().splitlines()) == len(lines) + 1


def test_an_app_names_its_sinks_and_the_command_adds_to_them(tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(APP, app)
    text = (app / "app.toml").read_text()
    (app / "app.toml").write_text(text + f'\n[sinks]\nuris = ["sqlite:{tmp_path}/own.db"]\n')
    done = edgesdk(
        "run", str(app), "--source", SCENE, "--sink", f"snapshots:{tmp_path}/shots", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "own.db")
    assert found
    shots = list((tmp_path / "shots").glob("*.jpg"))
    assert 0 < len(shots) <= len(found)
    assert cv2.imread(str(shots[0])).shape[2] == 3


def test_the_end_of_a_run_says_what_became_of_what_sinks_were_given(tmp_path: Path) -> None:
    run = ("run", str(APP), "--source", SCENE, "--sink", f"snapshots:{tmp_path}/shots?max=3")
    done = edgesdk(*run)
    assert done.returncode == 0, done.stderr
    told = json.loads(edgesdk(*run, "--json").stdout)["sinks"]["snapshots"]
    assert told["dropped"] == 0
    assert told["written"] >= 3 == len(list((tmp_path / "shots").iterdir()))
    assert f"snapshots: written {told['written']}, dropped 0" in done.stdout


def test_several_streams_share_a_sink_that_names_them(tmp_path: Path) -> None:
    done = edgesdk(
        *("run", str(APP), "--source", f"gate={SCENE}", "--source", f"yard={SCENE}"),
        *("--sink", f"sqlite:{tmp_path}/a.db", "--sink", f"jsonl:{tmp_path}/a.jsonl"),
        *("--sink", f"video:{tmp_path}/road.mp4", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "a.db")
    gate, yard = ([row[1:] for row in found if row[0] == name] for name in ("gate", "yard"))
    assert gate == yard != []
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert sorted({line["stream"] for line in lines}) == ["gate", "yard"]
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == [
        "road-gate.mp4",
        "road-yard.mp4",
    ]


def test_what_is_wrong_with_a_sink_is_said_before_anything_runs(tmp_path: Path) -> None:
    done = edgesdk("run", str(APP), "--source", SCENE, "--sink", f"sqlit:{tmp_path}/a.db")
    assert done.returncode == 2
    assert "did you mean sqlite" in done.stderr
    with (
        pytest.raises(UnknownName),
        prepare_run(load_app(APP), RunRequest(SCENE, sinks=("sqlit:a",))),
    ):
        pass


def test_a_run_may_have_two_videos_but_no_file_twice(tmp_path: Path) -> None:
    own, other = tmp_path / "own.mp4", tmp_path / "other.mp4"
    request = RunRequest("sim://traffic?frames=3", video=own, sinks=(f"video:{other}",))
    with prepare_run(load_app(APP), request) as run:
        run.pipeline.run()
    assert read_video(own).count == read_video(other).count == 3
    own.unlink()
    for sinks in ((f"video:{tmp_path}/x/../own.mp4",), (f"csv:{other}", f"jsonl:{other}")):
        with (
            pytest.raises(UsageError, match=r"mp4 would be written by two sinks"),
            prepare_run(load_app(APP), RunRequest(SCENE, video=own, sinks=sinks)),
        ):
            pass
    assert not own.exists()


def test_sinks_are_closed_when_the_model_cannot_be_loaded(tmp_path: Path) -> None:
    sinks = (f"http://127.0.0.1:9/x#outbox={tmp_path}/box.sqlite&flush=0s",)
    for _ in range(2):  # the second finds the outbox free
        with (
            pytest.raises((BackendError, UsageError)) as caught,
            prepare_run(load_app(APP), RunRequest(SCENE, backend="nothing", sinks=sinks)),
        ):
            pass
        assert "outbox" not in str(caught.value)


def test_metrics_are_served_while_the_app_runs(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs prometheus-client")

    class Look:
        """Fetches the metrics from within the run."""

        name = "look"
        text = ""
        address = ""

        def accept(self, packet: object) -> None:
            if not self.text:
                with urllib.request.urlopen(self.address, timeout=10) as answer:
                    self.text = answer.read().decode()

        def close(self) -> None:
            pass

    look = Look()
    request = RunRequest(SCENE, sinks=("prometheus://127.0.0.1:0",))
    with prepare_run(load_app(APP), request, [look]) as run:
        (sink,) = run.sinks
        assert isinstance(sink, Addressed)
        look.address = sink.address
        run.pipeline.run(5)
    assert "edgesdk_frames_processed_total" in look.text
    assert 'edgesdk_stage_seconds_count{stage="inference"}' in look.text


def test_ctrl_c_leaves_events_in_the_outbox_and_every_file_whole(tmp_path: Path) -> None:
    """Nobody listens on port 9."""
    sinks = [
        f"http://127.0.0.1:9/x#outbox={tmp_path}/box.sqlite&flush=3s",
        f"sqlite:{tmp_path}/a.db",
        f"video:{tmp_path}/a.mp4",
    ]
    options = [word for place in sinks for word in ("--sink", place)]
    source = "sim://traffic?seed=3&frames=100000"
    command = [sys.executable, "-m", "edgesdk", "run", str(APP), "--source", source, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:

        def has_rows() -> bool:
            return (tmp_path / "a.db").exists() and counted(tmp_path / "a.db", "crossing") > 0

        eventually(has_rows, 90)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert b"left behind" not in said
    stored = counted(tmp_path / "a.db", "crossing") + counted(tmp_path / "a.db", "count")
    assert f"{stored} events are not delivered yet".encode() in said
    assert counted(tmp_path / "box.sqlite", "messages") == stored
    assert cv2.VideoCapture(str(tmp_path / "a.mp4")).read()[0]


def test_files_are_whole_by_the_time_of_a_second_ctrl_c(tmp_path: Path) -> None:
    """The first one waits for a receiver that is not there; files do not wait for it."""
    hook = f"http://127.0.0.1:9/x#outbox={tmp_path}/box.sqlite&flush=60s"
    command = [
        *(sys.executable, "-m", "edgesdk", "run", str(APP), "--sink", hook),
        *("--source", "sim://traffic?seed=3&frames=100000", "--video", str(tmp_path / "a.mp4")),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        try:
            eventually(lambda: counted(tmp_path / "box.sqlite", "messages") > 0, 90)
            run.send_signal(signal.SIGINT)
            eventually((tmp_path / "a.mp4").exists, 30)
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=30)
        finally:
            run.kill()
    assert run.returncode == 130, said
    assert b"ended at once by a second SIGINT" in said
    assert cv2.VideoCapture(str(tmp_path / "a.mp4")).read()[0]


def counted(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
