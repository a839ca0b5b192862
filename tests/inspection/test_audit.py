"""The audit log: whole, bit for bit, of bounded size, and evidence against changes."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.errors import DataError, UsageError
from edgesdk.inspection import Verdict
from edgesdk.inspection.audit import LogWriter, Origin, Record, RecordedView, open_log
from edgesdk.pipeline import Packet
from edgesdk.sinks import SinkFacts, StreamFacts, open_sink
from tests.inspection.made import IMAGE, judged, verdict
from tests.sinks.samples import facts as other_facts


def facts(run_id: str = "20261126T070000-abc123") -> SinkFacts:
    return SinkFacts(
        "line_inspection",
        Verdict,
        lambda packet: packet.frame.image.copy(),
        (StreamFacts("line", (64, 48), 25.0),),
        run_id=run_id,
    )


def written(folder: Path, packets: list[Packet], options: str = "", run_id: str = "run-a") -> None:
    sink = open_sink(f"audit:{folder}{options}", facts(run_id))
    for packet in packets:
        sink.accept(packet)
    sink.close()


def test_what_was_judged_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    packets = [judged(i, score=np.float32(0.1 * i).item()) for i in range(7)]
    written(tmp_path, packets)
    log = open_log(tmp_path)
    assert (log.origin.app, log.origin.run_id, log.count, log.whole) == (
        "line_inspection",
        "run-a",
        7,
        True,
    )
    for packet, record in zip(packets, log.records(), strict=True):
        assert record.verdict == packet.events[0]
        (seen,), (kept,) = packet.parts[0].views, record.views
        assert np.array_equal(kept.picture, seen.picture)
        assert seen.inspected is not None
        assert kept.score == seen.inspected.score
        assert kept.heat is not None
        assert seen.inspected.heat is not None
        assert kept.heat.tobytes() == seen.inspected.heat.tobytes()
        assert (kept.box, kept.frame, kept.time_ms) == (seen.box, seen.frame, seen.time_ms)


def test_a_part_without_picture_or_score_is_kept_with_its_reason(tmp_path: Path) -> None:
    unseen = dataclasses.replace(
        verdict(3, math.nan, "reject"), reason="unseen", threshold=math.nan
    )
    packet = dataclasses.replace(judged(3), events=(unseen,), parts=())
    written(tmp_path, [packet])
    (record,) = open_log(tmp_path).records()
    assert record.views == ()
    assert math.isnan(record.verdict.score)
    assert (record.verdict.reason, record.verdict.outcome) == ("unseen", "reject")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE parts SET outcome = 'pass' WHERE id = 2",
        "UPDATE parts SET score = 0.1 WHERE id = 3",
        "DELETE FROM parts WHERE id = 2",
        "UPDATE views SET png = (SELECT png FROM views WHERE part = 1) WHERE part = 3",
        "UPDATE views SET heat = zeroblob(36) WHERE part = 2",
        "DELETE FROM views WHERE part = 4",
        "UPDATE parts SET time_utc = '2020-01-01T00:00:00.000Z' WHERE id = 4",
    ],
)
def test_a_changed_log_is_found_out(tmp_path: Path, change: str) -> None:
    written(tmp_path, [judged(i, 0.6) for i in range(5)])
    (path,) = tmp_path.glob("*.audit")
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    with pytest.raises(DataError, match="changed"):
        list(open_log(tmp_path).records())


def test_a_long_run_goes_on_in_further_files_and_the_oldest_make_room(tmp_path: Path) -> None:
    packets = [judged(i, side_px=64) for i in range(120)]  # 12 kB each: noise cannot be packed
    sink = open_sink(f"audit:{tmp_path}?file_mb=0.1&limit_gb=0.0005", facts())
    for packet in packets:
        sink.accept(packet)
        time.sleep(0.005)
    sink.close()
    files = sorted(tmp_path.glob("*.audit"))
    assert len(files) > 1
    assert sum(path.stat().st_size for path in files) < 1.5 * 500_000
    log = open_log(tmp_path)
    parts = [record.verdict.part for record in log.records()]
    assert not log.whole
    assert parts == list(range(parts[0], 120)), "the newest are all there, in order"


def test_files_of_a_run_that_are_swapped_or_missing_in_between_are_found_out(
    tmp_path: Path,
) -> None:
    sink = open_sink(f"audit:{tmp_path}?file_mb=0.05", facts())
    for i in range(40):
        sink.accept(judged(i, side_px=64))
        time.sleep(0.02)
    sink.close()
    files = sorted(tmp_path.glob("*.audit"))
    assert len(files) >= 3
    assert len(list(open_log(tmp_path).records())) == 40
    files[1].unlink()
    with pytest.raises(DataError, match="does not follow"):
        list(open_log(tmp_path).records())


def test_the_last_run_of_a_folder_is_opened_and_any_other_by_its_file(tmp_path: Path) -> None:
    written(tmp_path, [judged(0)], run_id="20261126T070000-aaaaaa")
    written(tmp_path, [judged(0), judged(1)], run_id="20261126T080000-000000")
    assert open_log(tmp_path).count == 2
    first = sorted(tmp_path.glob("*.audit"))[0]
    assert open_log(first).count == 1


def test_a_run_that_is_killed_leaves_a_log_that_can_be_read(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from edgesdk.sinks import open_sink\n"
        "from tests.inspection.made import judged\n"
        "from tests.inspection.test_audit import facts\n"
        "sink = open_sink(f'audit:{sys.argv[1]}', facts())\n"
        "for i in range(100000):\n"
        "    sink.accept(judged(i)); time.sleep(0.002)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not any(
        path.stat().st_size > 20_000 for path in tmp_path.glob("*.audit-wal")
    ):
        time.sleep(0.05)
    time.sleep(1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    parts = [record.verdict.part for record in open_log(tmp_path).records()]
    assert len(parts) > 10
    assert parts == list(range(len(parts)))


def test_a_disk_that_is_full_is_an_error_and_what_was_written_stays(tmp_path: Path) -> None:
    """By the limit on the size of a file: for this process the same error as a full disk."""
    code = (
        "import resource, signal, sys\n"
        "from edgesdk.errors import EdgeError\n"
        "from edgesdk.sinks import open_sink\n"
        "from tests.inspection.made import judged\n"
        "from tests.inspection.test_audit import facts\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "sink = open_sink(f'audit:{sys.argv[1]}', facts())\n"
        "try:\n"
        "    for i in range(2000):\n"
        "        sink.accept(judged(i, side_px=64))\n"
        "    sink.close()\n"
        "except EdgeError as error:\n"
        "    print(error.message, '|', error.hint)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "cannot write" in told.stdout, told
    assert "what was written before is whole" in told.stdout
    parts = [record.verdict.part for record in open_log(tmp_path).records()]
    assert parts == list(range(len(parts)))


def test_an_app_without_verdicts_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no verdicts") as error:
        open_sink(f"audit:{tmp_path}", other_facts())
    assert "sqlite:" in error.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", ["?limit_gb=0", "?file_mb=-1", "?file_mb=900&limit_gb=0.1"])
def test_room_that_is_none_is_refused(tmp_path: Path, options: str) -> None:
    with pytest.raises(UsageError, match="file_mb should"):
        open_sink(f"audit:{tmp_path}{options}", facts())


@pytest.mark.parametrize("content", [b"", b"this is no database" * 100])
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x-0001.audit"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no audit log"):
        open_log(path)


def test_an_absent_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no audit log"):
        open_log(tmp_path / "nowhere")


SCORES = st.one_of(st.none(), st.floats(width=32, allow_nan=False))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**40), SCORES, st.text(max_size=8)), max_size=6))
def test_any_scores_times_and_texts_survive(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float | None, str]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer = LogWriter(folder, Origin("app", "run"), 10**6, 10**8)
    records = [
        Record(
            dataclasses.replace(verdict(i, math.nan if score is None else score), triggered_ns=ns),
            "2026-11-26T07:00:00.000Z",
            text,
            (RecordedView(IMAGE[:3, :2], (0.0, 1.0, 2.0, 3.0), i, 0.1 * i, score, None),),
        )
        for i, (ns, score, text) in enumerate(rows)
    ]
    writer.write(records)
    writer.close()
    read = list(open_log(folder).records())
    shutil.rmtree(folder)
    for ours, kept in zip(records, read, strict=True):
        same = dataclasses.replace(kept.verdict, score=ours.verdict.score) == ours.verdict
        assert same
        assert kept.verdict.score == ours.verdict.score or ours.views[0].score is None
        assert kept.error == ours.error
        assert kept.views[0].score == ours.views[0].score
