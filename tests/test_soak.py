"""A minute of the whole pipeline with faults every few seconds: nothing grows, nothing is left.

A minute cannot show a megabyte an hour: histories, histograms and the page's plots, all of bounded
length, are still filling. What it shows is that nothing grows by the frame: a kept frame is four
memory blocks and its pixels (here 92 kB), where the bounds for each 1,000 frames are 1,500 blocks
and 2 MB (0.9 k and 0.4 MB were seen). The slope in time is stated by the half hour of
`python -m benchmarks.pipeline.soak`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.errors import UsageError
from tests.soaking import APP, FPS, HANGS_UP_S, Soak, camera, soak
from tests.squares import app_folder

SECONDS = float(os.environ.get("EDGESDK_SOAK_S", "75"))
BLOCKS_PER_1000 = 1500
BYTES_PER_1000 = 2_000_000

pytestmark = pytest.mark.timeout(SECONDS + 120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("soak")


@pytest.fixture(scope="module")
def soaked(folder: Path) -> Soak:
    return soak(SECONDS, folder)


def test_every_stream_lived_through_its_faults(soaked: Soak) -> None:
    streams = {stream.name: stream for stream in soaked.summary.streams}
    assert {stream.ended for stream in streams.values()} == {"stopped"}
    for name in ("road", "belt"):
        state = streams[name].state
        assert state is not None
        assert state.lost > 0
        assert state.corrupt > 0
        media_s = (state.captured + state.lost) / FPS  # Less than SECONDS on a slow machine.
        assert media_s > SECONDS / 4
        assert state.resized >= media_s // 6 - 1
        assert state.reconnects >= media_s // 7 - 1
    gate = streams["gate"].state
    assert gate is not None
    # A camera that fails soon after it came back waits longer.
    assert gate.reconnects >= 0.4 * SECONDS / (HANGS_UP_S + 1)


def test_every_captured_frame_was_processed_or_counted_as_dropped(soaked: Soak) -> None:
    for stream in soaked.summary.streams:
        assert stream.frames_captured == stream.frames_processed + stream.frames_dropped
        assert stream.state is not None
        assert stream.frames_captured == stream.state.captured
        assert stream.frames_processed > 0


def test_memory_does_not_grow_with_frames(soaked: Soak) -> None:
    assert soaked.growth("blocks") < BLOCKS_PER_1000, soaked.samples
    assert soaked.growth("resident_bytes") < BYTES_PER_1000, soaked.samples


def test_no_thread_and_no_file_is_left(soaked: Soak) -> None:
    assert soaked.after.threads == soaked.before.threads
    assert soaked.after.files == soaked.before.files
    assert soaked.growth("threads") == 0
    assert soaked.growth("files") == 0


def test_the_files_are_whole(soaked: Soak, folder: Path) -> None:
    lines = (folder / "events.jsonl").read_text().splitlines()
    assert len(lines) > 0.5 * soaked.summary.frames_processed / 10
    assert all("frame" in json.loads(line) for line in lines)
    assert 0 < len(list((folder / "shots").rglob("*.jpg"))) <= 20


def test_a_run_that_cannot_begin_leaves_no_camera_running(folder: Path) -> None:
    app = load_app(str(app_folder(folder / "other", APP)))
    with camera() as port:
        sources = (f"http://127.0.0.1:{port}/video",)
        before = threading.active_count()
        with (
            pytest.raises(UsageError, match="no option"),
            prepare_run(app, RunRequest(sources, sinks=("snapshots:/tmp/x?bad=1",))),
        ):
            pytest.fail("it should not begin")
        patience = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < patience:
            time.sleep(0.05)
        assert threading.active_count() == before
