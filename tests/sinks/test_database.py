"""Events as rows: all of them, also when the process is killed or the disk is full."""

from __future__ import annotations

import dataclasses
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgesdk.errors import EdgeError, UsageError
from edgesdk.pipeline import Event
from edgesdk.sinks import open_sink
from tests.sinks.samples import Passed, eventually, facts, packet


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_each_event_is_a_row_with_its_id_stream_and_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.db"
    sink = open_sink(f"sqlite:{path}", facts())
    sink.accept(packet(0))
    sink.accept(packet(3, "car", 'a "big" truck'))
    sink.close()
    found = rows(path, "SELECT id, stream, frame, time_ms, label, x_px FROM passed")
    assert found == [
        ("RUN/cam/1", "cam", 3, 120.0, "car", 1.5),
        ("RUN/cam/2", "cam", 3, 120.0, 'a "big" truck', 1.5),
    ]
    (time_utc,) = rows(path, "SELECT time_utc FROM passed LIMIT 1")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(time_utc))


def test_columns_have_the_type_of_the_field(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    open_sink(f"sqlite:{path}", facts()).close()
    kinds = {str(row[1]): row[2] for row in rows(path, "PRAGMA table_info(passed)")}
    assert kinds["frame"] == "INTEGER"
    assert kinds["x_px"] == "REAL"
    assert kinds["label"] == "TEXT"


def test_a_number_that_is_none_is_null(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = open_sink(f"sqlite:{path}", facts())
    numbers = [float("nan"), float("inf"), np.float32("nan"), np.float32(2.5)]
    events = tuple(Passed(np.int64(1), 40.0, "car", x) for x in numbers)  # type: ignore[arg-type]
    sink.accept(dataclasses.replace(packet(1), events=events))
    sink.close()
    found = rows(path, "SELECT frame, x_px, typeof(x_px) FROM passed")
    assert found == [(1, None, "null")] * 3 + [(1, 2.5, "real")]


def test_a_second_run_appends(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    for run in ("A", "B"):
        sink = open_sink(f"sqlite:{path}", facts(run_id=run))
        sink.accept(packet(1, "car"))
        sink.close()
    assert rows(path, "SELECT id FROM passed") == [("A/cam/1",), ("B/cam/1",)]


def test_rows_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = open_sink(f"sqlite:{path}", facts())
    sink.accept(packet(1, "car"))
    eventually(lambda: rows(path, "SELECT count(*) FROM passed") == [(1,)])
    sink.close()


@dataclass(frozen=True)
class Other(Event):
    speed_kmh: float


def test_a_changed_event_is_refused_and_the_old_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = open_sink(f"sqlite:{path}", facts())
    sink.accept(packet(1, "car"))
    sink.close()
    changed = dataclasses.replace(facts(), event=Other)
    with pytest.raises(UsageError, match=r"label, x_px; .*speed_kmh\n.*\?table=passed_2"):
        open_sink(f"sqlite:{path}?table=passed", changed)
    open_sink(f"sqlite:{path}?table=passed_2", changed).close()
    assert rows(path, "SELECT count(*) FROM passed") == [(1,)]
    assert rows(path, "SELECT count(*) FROM passed_2") == [(0,)]


@dataclass(frozen=True)
class Taken(Event):
    id: int


def test_an_event_with_a_column_of_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Taken: id are columns"):
        open_sink(f"sqlite:{tmp_path}/e.db", dataclasses.replace(facts(), event=Taken))


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"this is my diary" * 100)
    with pytest.raises(EdgeError, match="not a database"):
        open_sink(f"sqlite:{path}", facts())
    assert path.read_bytes() == b"this is my diary" * 100


WRITER = """
    import sys, time
    from edgesdk.sinks import open_sink
    from tests.sinks.samples import facts, packet
    sink = open_sink(f"sqlite:{sys.argv[1]}", facts())
    for index in range(10**9):
        sink.accept(packet(index, "car"))
        print(index, flush=True)
        time.sleep(0.0005)
"""


def test_killing_the_process_harms_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    code = textwrap.dedent(WRITER)
    for _ in range(3):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            told_s: list[float] = []
            for line in writer.stdout:
                told_s.append(time.monotonic())
                if int(line) >= 1500:
                    writer.send_signal(signal.SIGKILL)
                    break
            killed_s = time.monotonic()
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        frames = [row[0] for row in rows(path, "SELECT frame FROM passed ORDER BY rowid")]
        assert frames == list(range(len(frames)))
        old = sum(1 for moment_s in told_s if moment_s < killed_s - 0.6)
        assert len(frames) >= min(old, 1) > 0


def test_a_full_disk_ends_the_run_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    code = f"""
        import resource, signal, sys
        from edgesdk.errors import EdgeError
        from edgesdk.sinks import open_sink
        from tests.sinks.samples import facts, packet
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        sink = open_sink("sqlite:{path}", facts())
        try:
            for index in range(100_000):
                sink.accept(packet(index, "car"))
        except EdgeError as error:
            print(error)
        try:
            sink.close()
        except EdgeError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert f"cannot write {path}" in done.stdout
    assert "free some space" in done.stdout
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    frames = [row[0] for row in rows(path, "SELECT frame FROM passed ORDER BY rowid")]
    assert frames == list(range(len(frames)))
    assert Passed.__name__ == "Passed"
