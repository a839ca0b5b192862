"""What a killed process leaves behind is removed by the next one, and nobody else's."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from edgesdk._files import Part, clear_abandoned, folder_atomic, write_atomic
from edgesdk.video import VideoWriter

BEGIN = """
    import sys, time
    from pathlib import Path
    from edgesdk._files import Part, folder_atomic
    place = Path(sys.argv[1])
    part = Part(place / "counted.json")
    part.path.write_text("half")
    with folder_atomic(place / "model.edge") as folder:
        (folder / "model.onnx").write_text("half")
        print("begun", flush=True)
        time.sleep(60)
"""


def begun(folder: Path) -> subprocess.Popen[str]:
    """Another process in the middle of writing a file and a folder."""
    command = [sys.executable, "-c", textwrap.dedent(BEGIN), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_what_a_living_process_writes_is_left_and_what_a_killed_one_left_is_removed(
    tmp_path: Path,
) -> None:
    process = begun(tmp_path)
    try:
        clear_abandoned(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    clear_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_ours_are_left(tmp_path: Path) -> None:
    names = [".counted.json.backup", ".counted.json.abcdefgh", "a.edgesdk-12345678", ".hidden"]
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".link.edgesdk-abcdefgh").symlink_to(tmp_path / ".hidden")
    clear_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*names, ".link.edgesdk-abcdefgh"}


def test_where_a_disk_knows_no_locks_files_are_written_and_nothing_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network disks: nobody can tell what is abandoned, so it stays."""

    def unknown(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unknown)
    other = Part(tmp_path / "b.txt")
    write_atomic(tmp_path / "a.txt", "whole")
    with folder_atomic(tmp_path / "c.edge") as made:
        (made / "d.txt").write_text("whole")
    clear_abandoned(tmp_path)
    assert other.path.exists()
    other.discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "c.edge"]


def test_a_folder_that_is_not_there_has_nothing_to_clear(tmp_path: Path) -> None:
    clear_abandoned(tmp_path / "nowhere")


def test_a_part_takes_its_place_or_is_gone(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.txt")
    part.path.write_text("whole")
    assert not (tmp_path / "a.txt").exists()
    part.put()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644
    part.discard()
    assert (tmp_path / "a.txt").read_text() == "whole"
    other = Part(tmp_path / "b.txt")
    other.discard()
    other.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_next_bundle_and_the_next_video_clear_what_was_left(tmp_path: Path) -> None:
    for write in (_bundle, _video):
        folder = tmp_path / write.__name__
        folder.mkdir()
        process = begun(folder)
        process.kill()
        process.communicate()
        assert len(list(folder.iterdir())) == 2
        write(folder)
        assert [path.name.startswith(".") for path in folder.iterdir()] == [False]


def _bundle(folder: Path) -> None:
    with folder_atomic(folder / "other.edge") as made:
        write_atomic(made / "model.onnx", b"whole")


def _video(folder: Path) -> None:
    with VideoWriter(folder / "a.mp4", 10, (64, 48)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))


def test_a_run_that_is_killed_is_cleaned_up_after_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgesdk", "run", "traffic_counting", "--source"]
    files = ["--events", "e.json", "--video", "v.mp4"]
    endless = "sim://traffic?live=1&frames=9999"
    process = subprocess.Popen(
        [*command, endless, *files], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        while len(list(tmp_path.glob(".*.edgesdk-*"))) < 4:  # json of three kinds, and the video
            if process.poll() is not None:
                pytest.fail(f"ended: {process.stderr.read() if process.stderr else ''}")
    finally:
        process.kill()
        process.communicate()
    short = [*command, "sim://traffic?frames=20", *files, "--json"]
    done = subprocess.run(short, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "e-count.json",
        "e-visit.json",
        "e.json",
        "v.mp4",
    ]
