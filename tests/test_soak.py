"""A minute of the whole pipeline with faults every few seconds: nothing grows, nothing is left.

A minute cannot show a megabyte an hour. What it shows is growth for each 1,000 frames: counted
memory blocks find any leak of Python objects (one kept object for every fifth frame is over the
bound), resident memory finds leaks below Python of more than 2 kB a frame. The half hour of
`python -m benchmarks.pipeline.soak` states the slope in time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.soaking import HANGS_UP_S, Soak, soak

SECONDS = float(os.environ.get("EDGESDK_SOAK_S", "75"))
BLOCKS_PER_1000 = 200
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
        assert state.resized >= SECONDS // 12
        assert state.reconnects >= SECONDS // 7 - 2
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
