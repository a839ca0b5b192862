"""Gaps of the camera, and a trigger that is lost: what nobody has seen does not get by."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from edgesdk.errors import DataError
from edgesdk.signals.counted import CountedTrigger
from edgesdk.signals.output import Output
from edgesdk.signals.schedule import Levels
from edgesdk.signals.wires import OutputOptions
from edgesdk.sinks import open_sink
from tests.command import edgesdk
from tests.inspection.app import make_app
from tests.partners.modbus_server import ABSENT, INSTALLED, ModbusServer
from tests.signals.samples import facts, packet, verdict
from tests.sinks.samples import eventually

MS = 1_000_000
DELAY_MS = 200
OPTIONS = OutputOptions(delay_s=DELAY_MS / 1e3, pulse_s=0.01, tolerance_s=0.15, dead_after_s=60)
"""An ejector that rests between parts."""


class Wire:
    """Writes down what it is told, and when; a moment is in the first of an hour's beats."""

    shown, slow_s = "test", 0.1

    def __init__(self, writing_s: float = 0.0) -> None:
        self.told: list[tuple[int, Levels]] = []
        self._writing_s = writing_s

    def connect(self, levels: Levels) -> None:
        self.told.append((time.monotonic_ns(), levels))

    def write(self, levels: Levels, said: Levels | None) -> None:
        self.told.append((time.monotonic_ns(), levels))
        time.sleep(self._writing_s)

    def close(self) -> None:
        pass

    def at(self, moment_ns: int) -> Levels:
        return [levels for at_ns, levels in self.told if at_ns <= moment_ns][-1]


def frames(sink: Output, first: int, count: int, step_s: float = 0.02) -> int:
    """A good part in each; gives when the last was captured."""
    for part in range(first, first + count):
        made = packet(verdict(part, "pass"))
        sink.accept(made)
        time.sleep(step_s)
    return made.frame.captured_ns


def test_what_passed_in_a_gap_of_the_camera_meets_the_safe_state_at_the_ejector() -> None:
    """The gap of 0.6 s is far shorter than dead_after."""
    wire = Wire()
    sink = Output("test", wire, OPTIONS, facts())
    last_ns = frames(sink, 0, 20)
    time.sleep(0.6)
    back_ns = time.monotonic_ns()
    frames(sink, 20, 20)
    eventually(lambda: sink.gauges()["waiting"] == 0)
    safe_at_last = wire.at(time.monotonic_ns()).reject
    sink.close()
    delay_ns = DELAY_MS * MS
    assert not wire.at(last_ns + delay_ns).reject, "the last part that was seen"
    for share in (0.6, 0.8, 0.95):  # the first .17 s wait for a verdict that may still come
        passed_ns = round(last_ns + share * (back_ns - last_ns))
        assert wire.at(passed_ns + delay_ns).reject, f"what passed {share:.0%} into the gap"
    assert not safe_at_last, "the parts after the gap"
    assert sink.gauges()["unseen"] == 1


def test_a_camera_that_is_triggered_by_parts_may_be_silent() -> None:
    wire = Wire()
    sink = Output("test", wire, replace(OPTIONS, on_demand=True), facts())
    frames(sink, 0, 10)
    time.sleep(0.6)
    assert not wire.at(time.monotonic_ns()).reject
    sink.close()
    assert sink.gauges()["unseen"] == 0


def test_for_the_time_that_frames_say_was_unseen_the_wire_is_safe() -> None:
    """And neither before nor after it; a good part that is due within fails safe."""
    wire = Wire()
    options = replace(OPTIONS, delay_s=0.5)
    sink = Output("test", wire, options, facts())
    start_ns = time.monotonic_ns()
    moments_ms = (0, 150, 300)  # parts; nobody knows what passed from 100 to 200
    parts = [verdict(i, "pass", start_ns + ms * MS) for i, ms in enumerate(moments_ms)]
    sink.accept(replace(packet(*parts), unseen_ns=(start_ns + 100 * MS, start_ns + 200 * MS)))
    for _ in range(50):
        sink.accept(packet())
        time.sleep(0.02)
    sink.close()
    said = [wire.at(start_ns + (500 + ms) * MS).reject for ms in (50, 120, 190, 360)]
    assert said == [False, True, True, False]
    gauges = sink.gauges()
    assert (gauges["given"], gauges["failed_safe"], gauges["unseen"]) == (2, 1, 1)


def test_a_bad_part_among_unseen_ones_is_pushed_even_where_the_safe_state_is_to_rest() -> None:
    wire = Wire()
    sink = Output("test", wire, replace(OPTIONS, safe="pass", pulse_s=0.1), facts())
    start_ns = time.monotonic_ns()
    parts = [verdict(0, "pass", start_ns), verdict(1, "reject", start_ns + 150 * MS)]
    for from_ms in (100, 150, 200):  # one after another: once
        unseen_ns = (start_ns + from_ms * MS, start_ns + (from_ms + 50) * MS)
        sink.accept(replace(packet(*parts), unseen_ns=unseen_ns))
        parts = []
    for _ in range(30):
        sink.accept(packet())
        time.sleep(0.02)
    sink.close()
    assert wire.at(start_ns + 400 * MS).reject
    gauges = sink.gauges()
    assert (gauges["given"], gauges["failed_safe"], gauges["unseen"]) == (2, 0, 1)


def test_a_late_verdict_and_a_late_output_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    sink = Output("test", Wire(), OPTIONS, facts())
    sink.accept(packet(verdict(0, "pass", time.monotonic_ns() - 900 * MS)))
    eventually(lambda: sink.gauges()["late"] == 1)
    sink.close()
    assert "part 0 failed safe: its verdict came too late" in caplog.text
    assert sink.gauges()["slow"] == 0
    caplog.clear()
    slow = Output("test", Wire(writing_s=0.4), replace(OPTIONS, delay_s=0), facts())
    for part in range(3):
        slow.accept(packet(verdict(part, "pass" if part % 2 else "reject")))
    eventually(lambda: slow.gauges()["slow"] >= 1, 5)
    slow.close()
    assert slow.gauges()["late"] == 0
    assert "the wire was too slow" in caplog.text or "but the output is" in caplog.text


# --- the trigger ---------------------------------------------------------------------------------


class Barrier:
    """Fires once a call; some calls fail."""

    name = "barrier"

    def __init__(self, *fails: int) -> None:
        self.calls = 0
        self._fails = fails

    def fired(self) -> tuple[int, ...]:
        self.calls += 1
        if self.calls - 1 in self._fails:
            raise DataError("the cable is cut")
        return (self.calls,)

    def close(self) -> None:
        pass


def test_losses_of_a_trigger_are_counted_once_each() -> None:
    trigger = CountedTrigger(Barrier(2, 3, 4, 7))
    for call in range(8):
        try:
            trigger.fired()
        except DataError:
            assert call in {2, 3, 4, 7}
    assert trigger.gauges() == {"fired": 4, "losses": 2, "readable": 0.0}


@pytest.mark.skipif(not INSTALLED, reason=ABSENT)
def test_a_run_whose_plc_is_away_says_so_in_its_summary_and_its_metrics(tmp_path: Path) -> None:
    app = make_app(tmp_path / "made_line")
    source = "sim://line?seed=4&frames=100&rate=240"
    with ModbusServer(tmp_path) as plc:
        port = plc.port
    ran = edgesdk(  # nobody listens there any more
        *("run", str(app), "--source", source, "--json"),
        *("--trigger", f"modbus://127.0.0.1:{port}/input/1", "--sink", f"audit:{tmp_path / 'log'}"),
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["trigger"]["losses"] == 1
    assert told["trigger"]["readable"] == 0
    assert set(told["counts"]) == {"untriggered"}
    assert told["counts"]["untriggered"]["reject"] > 5
    again = edgesdk("run", str(app), "--replay", str(tmp_path / "log"))
    assert again.returncode == 0, again.stderr + again.stdout


def test_metrics_show_the_trigger() -> None:
    prometheus = pytest.importorskip("prometheus_client.parser", reason="needs prometheus-client")
    import urllib.request  # noqa: PLC0415

    trigger = CountedTrigger(Barrier(1))
    trigger.fired()
    with pytest.raises(DataError):
        trigger.fired()
    sink = open_sink("prometheus://127.0.0.1:0", replace(facts(), trigger=trigger.gauges))
    try:
        address: str = sink.address  # type: ignore[attr-defined]
        with urllib.request.urlopen(address, timeout=5) as answer:
            text = answer.read().decode()
    finally:
        sink.close()
    families = prometheus.text_string_to_metric_families(text)
    values = {
        sample.labels["figure"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "edgesdk_trigger"
    }
    assert values == {"fired": 1, "losses": 1, "readable": 0}


@pytest.mark.skipif(not INSTALLED, reason=ABSENT)
def test_a_plc_is_told_to_reject_what_passed_in_a_gap(tmp_path: Path) -> None:
    with ModbusServer(tmp_path) as plc:
        uri = f"modbus://127.0.0.1:{plc.port}/coil/3?delay=200ms&tolerance=150ms&pulse=10ms"
        sink = open_sink(uri, facts())
        assert isinstance(sink, Output)
        last_ns = frames(sink, 0, 15)
        time.sleep(0.6)
        frames(sink, 15, 15)
        eventually(lambda: sink.gauges()["waiting"] == 0)
        sink.close()
        told = [(row.at_ns, row.value) for row in plc.written("coil", 3)]
    # Each heartbeat says the same again.
    changes = [now for before, now in pairwise([(0, -1), *told]) if before[1] != now[1]]
    assert [value for _, value in changes] == [1, 0, 1, 0, 1], "start, parts, gap, parts, end"
    assert last_ns + 200 * MS < changes[2][0] < last_ns + 800 * MS
