"""A whole run on a camera: the app's command, a real HTTP camera, Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.apps import RunRequest, Scene, load_app, prepare_run
from edgesdk.apps.joining import AppCode, LateProgram
from edgesdk.errors import ConfigError, EdgeError
from edgesdk.pipeline import Event, Step
from edgesdk.video import read_video
from tests.capture.servers import Server, mjpeg_server
from tests.capture.traces import held, wait_until
from tests.command import edgesdk
from tests.squares import app_folder
from tests.test_run import CODE, SETTINGS

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return app_folder(tmp_path / "squares", CODE, SETTINGS)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = mjpeg_server("640x352")
    yield one
    one.kill()


def address(server: Server) -> str:
    return f"http://ann:s3cret@127.0.0.1:{server.port}/cam.mjpg"


def test_a_run_on_a_camera_that_goes_and_comes_back_accounts_for_each_frame(
    app: Path, server: Server
) -> None:
    command = [sys.executable, "-m", "edgesdk", "run", str(app), "--source", address(server)]
    run = subprocess.Popen(
        [*command, "--json", "--events", str(app / "events.jsonl")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    events = app / "events.jsonl"
    assert wait_until(events.exists, 30)
    server.kill()
    server.start()
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(5)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert run.returncode == 130, err
    result = json.loads(out)
    assert result["frames_captured"] == result["frames_processed"] + result["frames_dropped"]
    (stream,) = result["streams"]
    assert stream["state"]["reconnects"] == 1
    assert "s3cret" not in out + err


def test_a_camera_that_is_away_at_the_start_joins_and_keeps_nobody_waiting(
    app: Path, server: Server
) -> None:
    """It has another size and rate than the other one, which its lines and its video follow."""
    late = mjpeg_server("320x240")
    late.kill()
    command = [
        *(sys.executable, "-m", "edgesdk", "run", str(app), "--wait", "inf", "--json"),
        *("--source", f"gate={address(server)}", "--source", f"yard={address(late)}"),
        *("--events", str(app / "e.jsonl"), "--video", str(app / "v.mp4")),
        *("--sink", f"video:{app}/sink.mp4"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert wait_until(lambda: list(app.glob(".v-gate.*")) != [], 40)
            assert list(app.glob(".v-yard.*")) == []
            late.start()
            assert wait_until(lambda: list(app.glob(".v-yard.*")) != [], 40)
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=30)
        finally:
            late.kill()
            run.kill()
    assert run.returncode == 130, err
    gate, yard = json.loads(out)["streams"]
    assert gate["frames_processed"] > yard["frames_processed"] > 0
    assert (gate["error"], yard["error"]) == ("", "")
    assert "waiting" in [change["state"] for change in yard["state"]["history"]]
    for name, width in (("gate", 640), ("yard", 320)):
        for video in (app / f"v-{name}.mp4", app / f"sink-{name}.mp4"):
            assert read_video(video).width == width
    assert read_video(app / "v-yard.mp4").count == yard["frames_processed"]


def test_ctrl_c_while_one_camera_is_away_is_no_failure_of_it(app: Path, server: Server) -> None:
    sources = (f"gate={address(server)}", "yard=http://127.0.0.1:9/cam.mjpg")
    with prepare_run(load_app(str(app)), RunRequest(sources, wait_s=math.inf)) as run:
        threading.Timer(1.0, run.pipeline.stop).start()
        summary = run.pipeline.run()
    gate, yard = summary.streams
    assert gate.frames_processed > 0
    assert (yard.ended, yard.error, yard.frames_captured) == ("stopped", "", 0)


def test_a_camera_that_never_comes_fails_alone(app: Path) -> None:
    done = edgesdk(
        *("run", str(app), "--wait", "5", "--events", str(app / "e.csv")),
        *("--source", "gate=sim://traffic?frames=20", "--source", "yard=http://127.0.0.1:9/x"),
    )
    assert done.returncode == 1
    assert "20 of 20 frames" in done.stdout
    assert done.stderr.count("no picture within 5 s") == 2  # at once, and at the end
    assert f"written: {app}/e.csv" in done.stdout


def test_where_no_camera_comes_the_run_does_not_begin(app: Path) -> None:
    sources = ("gate=http://127.0.0.1:9/a.mjpg", "yard=http://127.0.0.1:9/b.mjpg")
    begin_s = time.monotonic()
    with (
        pytest.raises(EdgeError, match="no picture within 4 s"),
        prepare_run(load_app(str(app)), RunRequest(sources, wait_s=4.0)),
    ):
        pass
    assert time.monotonic() - begin_s < 3 * 4


def test_a_late_stream_whose_app_has_other_stages_is_refused() -> None:
    class Few:
        event, columns = Event, ("count",)

    def code(*names: str) -> AppCode:
        stages = tuple(Step(name, lambda packet: packet) for name in names)
        return AppCode(Scene((), 640, 352, 25.0), Few(), stages)  # type: ignore[arg-type]

    late = LateProgram(code("track", "count"))
    assert [stage.name for stage in late.stages()] == ["track", "count"]
    with pytest.raises(ConfigError, match=r"stages track for 640x352 pixels, and track, count for"):
        late.join(code("track"))


def test_a_run_that_cannot_begin_leaves_no_camera_open(app: Path, server: Server) -> None:
    before = held()
    request = RunRequest(source=address(server), backend="none")
    with pytest.raises(EdgeError, match="none"), prepare_run(load_app(str(app)), request):
        pass
    wait_until(lambda: held() == before)
    assert held() == before


def test_a_run_that_is_prepared_and_not_begun_leaves_no_camera_open(
    app: Path, server: Server
) -> None:
    with prepare_run(load_app(str(app)), RunRequest(source="sim://traffic?frames=1")):
        pass  # ONNX Runtime keeps files open from its first session on.
    before = held()
    with prepare_run(load_app(str(app)), RunRequest(source=address(server))) as run:
        assert held() != before
        assert not run.pipeline.began
    wait_until(lambda: held() == before)
    assert held() == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_while_the_first_picture_is_waited_for_ends_it_in_order(
    app: Path, number: signal.Signals, code: int
) -> None:
    """Nobody listens on port 9."""
    command = [sys.executable, "-m", "edgesdk", "run", str(app), "--wait", "inf"]
    with subprocess.Popen(
        [*command, "--source", "http://127.0.0.1:9/cam.mjpg"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stderr is not None
        assert any("waiting: it cannot be opened" in line for line in run.stderr)
        run.send_signal(number)
        _, said = run.communicate(timeout=20)
    assert run.returncode == code, said
    assert f"stopped by {number.name} before the run was over" in said
    assert "Aborted" not in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # none of its session: the capture process is gone too
        os.killpg(run.pid, 0)
