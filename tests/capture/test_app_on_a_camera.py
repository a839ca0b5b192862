"""A whole run on a camera: the app's command, a real HTTP camera, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.errors import EdgeError
from tests.capture.servers import Server, mjpeg_server
from tests.capture.traces import held, wait_until
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
