"""Verdicts at a real PLC (a Modbus TCP server) that is away, killed, frozen or refuses."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.errors import MissingExtra, UsageError
from edgesdk.pipeline import Event, Sink
from edgesdk.sinks import Measured, SinkFacts, open_sink
from tests.partners.modbus_server import ABSENT, INSTALLED, ModbusServer
from tests.signals.samples import facts, packet, verdict
from tests.sinks.samples import eventually

pytestmark = pytest.mark.skipif(not INSTALLED, reason=ABSENT)

MS = 1_000_000
RELAXED = "tolerance=1s&dead_after=60s"
"""For tests of something else than lateness, on a machine that is busy."""


@pytest.fixture
def plc(tmp_path: Path) -> Iterator[ModbusServer]:
    with ModbusServer(tmp_path) as started:
        yield started


def open_output(plc: ModbusServer, options: str = RELAXED, place: str = "coil/3") -> Sink:
    return open_sink(f"modbus://127.0.0.1:{plc.port}/{place}?{options}", facts())


def gauges(sink: Sink) -> dict[str, float]:
    assert isinstance(sink, Measured)
    return dict(sink.gauges())


def values(plc: ModbusServer, address: int = 3) -> list[int]:
    """What the coil was told, without repetitions."""
    told = [row.value for row in plc.written("coil", address)]
    return [value for value, before in zip(told, [None, *told], strict=False) if value != before]


def test_the_safe_state_is_taken_before_the_first_frame_and_at_the_end(plc: ModbusServer) -> None:
    sink = open_output(plc, f"{RELAXED}&pulse=0")
    assert values(plc) == [1]
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: values(plc) == [1, 0])
    assert gauges(sink)["safe_state"] == 0
    sink.close()
    assert values(plc) == [1, 0, 1]
    assert gauges(sink)["connected"] == 0


def test_the_safe_state_may_be_to_let_pass_and_the_wire_inverted(plc: ModbusServer) -> None:
    sink = open_output(plc, f"{RELAXED}&pulse=0&safe=pass&invert=1")
    assert values(plc) == [1]
    sink.accept(packet(verdict(0, "reject")))
    eventually(lambda: values(plc) == [1, 0])
    sink.close()
    assert values(plc) == [1, 0, 1]


def test_each_verdict_is_given_when_its_part_is_at_the_ejector_whatever_the_inference_took(
    plc: ModbusServer,
) -> None:
    """Three bad parts with verdicts 10, 250 and 90 ms after their trigger: the wire follows the
    triggers, 150 ms apart."""
    sink = open_output(plc, f"{RELAXED}&delay=400ms&pulse=40ms&safe=pass")
    start_ns = time.monotonic_ns()
    triggers_ns = [start_ns + number * 150 * MS for number in range(3)]
    comes_ns = [triggers_ns[0] + 10 * MS, triggers_ns[1] + 250 * MS, triggers_ns[2] + 90 * MS]
    for part in sorted(range(3), key=lambda part: comes_ns[part]):
        time.sleep(max(comes_ns[part] - time.monotonic_ns(), 0) / 1e9)
        sink.accept(packet(verdict(part, "reject", triggers_ns[part])))
    eventually(lambda: gauges(sink)["given"] == 3)
    eventually(lambda: values(plc)[-1] == 0)
    rows = plc.written("coil", 3)
    pairs = zip(rows, [None, *rows], strict=False)
    on = [row for row, before in pairs if row.value and (before is None or not before.value)]
    off = [row for row, before in zip(rows[1:], rows, strict=False) if before.value > row.value]
    sink.close()
    assert len(on) == len(off) == 3
    for trigger_ns, rise, fall in zip(triggers_ns, on, off, strict=True):
        assert rise.at_ns >= trigger_ns + 400 * MS
        assert fall.at_ns >= trigger_ns + 440 * MS
    assert gauges(sink)["failed_safe"] == 0


def test_a_verdict_that_comes_when_its_part_has_gone_by_is_not_given(
    plc: ModbusServer, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_output(plc, "delay=50ms&tolerance=20ms&pulse=0&dead_after=60s")
    gone_ns = time.monotonic_ns() - 200 * MS
    sink.accept(packet(verdict(0, "pass", gone_ns)))
    eventually(lambda: gauges(sink)["late"] == 1)
    assert values(plc) == [1]
    assert gauges(sink)["failed_safe"] == 1
    assert gauges(sink)["safe_state"] == 1
    assert "part 0 failed safe: its verdict came too late" in caplog.text
    sink.close()


def test_a_late_verdict_takes_the_safe_state_until_one_is_in_time(plc: ModbusServer) -> None:
    sink = open_output(plc, "delay=300ms&tolerance=1s&pulse=0&dead_after=60s")
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: values(plc) == [1, 0])
    sink.accept(packet(verdict(1, "pass", time.monotonic_ns() - 5000 * MS)))
    eventually(lambda: values(plc) == [1, 0, 1])
    sink.accept(packet(verdict(2, "pass")))
    eventually(lambda: values(plc) == [1, 0, 1, 0])
    sink.close()
    assert gauges(sink)["given"] == 2


def test_without_frames_the_safe_state_is_taken_and_the_heart_stops(plc: ModbusServer) -> None:
    options = "tolerance=1s&dead_after=400ms&heartbeat=50ms&heartbeat_coil=9&pulse=0"
    sink = open_output(plc, options)
    sink.accept(packet(verdict(0, "pass")))
    for _ in range(12):
        sink.accept(packet())
        time.sleep(0.03)
    assert len(values(plc, 9)) >= 3
    eventually(lambda: values(plc) == [1, 0, 1])
    beats = len(values(plc, 9))
    time.sleep(0.3)
    assert len(values(plc, 9)) == beats
    sink.accept(packet(verdict(1, "pass")))
    eventually(lambda: values(plc) == [1, 0, 1, 0])
    eventually(lambda: len(values(plc, 9)) > beats)
    sink.close()


def test_parts_on_their_way_when_frames_end_fail_safe(plc: ModbusServer) -> None:
    sink = open_output(plc, "tolerance=1s&dead_after=300ms&delay=1s&pulse=0")
    sink.accept(packet(verdict(0, "pass", time.monotonic_ns() - 900 * MS)))
    sink.accept(packet(verdict(1, "pass")))
    eventually(lambda: values(plc) == [1, 0])
    eventually(lambda: gauges(sink)["failed_safe"] == 1)
    eventually(lambda: values(plc) == [1, 0, 1])
    sink.close()
    assert values(plc) == [1, 0, 1]


def test_the_first_part_is_not_given_when_frames_end_before_it_is_due(plc: ModbusServer) -> None:
    sink = open_output(plc, "tolerance=1s&dead_after=200ms&delay=500ms&pulse=0")
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: gauges(sink)["failed_safe"] == 1)
    time.sleep(0.5)
    sink.close()
    assert values(plc) == [1]


def test_parts_on_their_way_at_the_end_fail_safe(plc: ModbusServer) -> None:
    sink = open_output(plc, f"{RELAXED}&delay=60s")
    sink.accept(packet(verdict(0, "reject"), verdict(1, "pass")))
    sink.close()
    assert gauges(sink)["failed_safe"] == 2
    assert gauges(sink)["given"] == 0


def test_a_plc_takes_the_pair_at_the_rising_edge_of_ready(plc: ModbusServer) -> None:
    """Of three parts in one packet none is lost: ready falls before each verdict changes."""
    options = f"{RELAXED}&pulse=0&pass_coil=4&ready_coil=5&part_register=20&heartbeat=60s"
    sink = open_output(plc, options)
    parts = [verdict(0, "pass"), verdict(1, "reject"), verdict(2, "pass")]
    sink.accept(packet(*parts))
    eventually(lambda: gauges(sink)["given"] == 3)
    eventually(lambda: plc.written("coil", 5)[-1].value == 0)
    sink.close()
    state: dict[tuple[str, int], int] = {}
    taken = []
    for row in plc.written():
        before = state.get((row.table, row.address), 0)
        state[row.table, row.address] = row.value
        if (row.table, row.address) == ("coil", 5) and row.value > before:
            taken.append((state["register", 20], state["coil", 3], state["coil", 4]))
    assert taken == [(1, 0, 1), (2, 1, 0), (3, 0, 1)]


def test_a_register_can_be_the_wire(plc: ModbusServer) -> None:
    sink = open_output(plc, f"{RELAXED}&pulse=0", "register/30")
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: gauges(sink)["given"] == 1)
    sink.close()
    told = [row.value for row in plc.written("register", 30)]
    assert (told[0], told[-1]) == (1, 1)
    assert 0 in told


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_when_the_plc_is_gone_the_run_goes_on_and_its_return_begins_in_the_safe_state(
    plc: ModbusServer, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    options = "tolerance=2s&dead_after=60s&delay=200ms&pulse=0&heartbeat=50ms&timeout=200ms"
    sink = open_output(plc, options)
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: gauges(sink)["given"] == 1)
    assert values(plc) == [1, 0]
    plc.stop(number)
    eventually(lambda: gauges(sink)["connected"] == 0)
    begin_s = time.monotonic()
    for part in range(1, 101):
        sink.accept(packet(verdict(part, "pass")))
    assert time.monotonic() - begin_s < 10  # a hundred timeouts would take 20 s
    eventually(lambda: gauges(sink)["failed_safe"] == 100)
    assert gauges(sink)["waiting"] == 0
    if number == signal.SIGSTOP:
        plc.stop(signal.SIGCONT)
    else:
        plc.start()
    eventually(lambda: gauges(sink)["connected"] == 1)
    assert values(plc) == [1, 0, 1]
    sink.accept(packet(verdict(101, "pass")))
    eventually(lambda: values(plc) == [1, 0, 1, 0])
    eventually(lambda: gauges(sink)["given"] == 2)
    again = "verdicts are given again from part 101 on; parts failed safe before it: 100"
    assert again in caplog.text
    sink.close()


def test_a_plc_that_forgets_is_told_again_at_the_next_heartbeat(plc: ModbusServer) -> None:
    sink = open_output(plc, f"{RELAXED}&heartbeat=50ms")
    client = plc.client()
    client.write_coil(3, False, device_id=1)
    eventually(lambda: bool(client.read_coils(3, count=1, device_id=1).bits[0]))
    client.close()
    sink.close()


def test_a_plc_that_is_not_there_yet_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plc = ModbusServer(tmp_path)
    sink = open_output(plc, f"{RELAXED}&pulse=0")
    assert "no connection (Connection refused); trying again" in caplog.text
    sink.accept(packet(verdict(0, "pass")))
    with plc:
        eventually(lambda: values(plc) == [1])
        sink.accept(packet(verdict(1, "pass")))
        eventually(lambda: values(plc) == [1, 0])
        sink.close()
        assert values(plc) == [1, 0, 1]


def test_at_the_end_a_plc_that_is_gone_is_told_of_in_the_log(
    plc: ModbusServer, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_output(plc)
    plc.stop()
    with caplog.at_level(logging.WARNING):
        sink.close()
    assert "whoever watches the heartbeat has to take it" in caplog.text


def test_an_address_that_the_plc_does_not_have_is_known_before_the_run(plc: ModbusServer) -> None:
    with pytest.raises(UsageError, match="the PLC refuses coil 5000: illegal data address"):
        open_output(plc, RELAXED, "coil/5000")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("modbus://plc/coil", "coil/N, register/N are needed"),
        ("modbus:///coil/3", "a host and one of"),
        ("modbus://plc/input/3", "coil/N, register/N are needed"),
        ("modbus://plc/coil/70000", "N from 0 to 65535"),
        ("modbus://plc/coil/3?idle=closed", "idle should be pass or reject"),
        ("modbus://plc/coil/3?safe=closed", "safe should be pass or reject"),
        ("modbus://plc/coil/3?dealy=3s", "did you mean delay"),
        ("modbus://plc/coil/3?dead_after=0", "dead_after should be above 0"),
        ("modbus://plc/coil/3?unit=300", "unit should be 0 to 255"),
        ("modbus://plc/coil/3?ready_coil=70000", "from 0 to 65535"),
        ("modbus://plc/coil/3?pass_coil=3", "each coil and register can be named once"),
        ("modbus://plc/coil/3?ready_coil=4&heartbeat_coil=4", "can be named once"),
        ("modbus://plc/register/9?part_register=9", "can be named once"),
        ("modbus://plc/coil/3?delay=800", "delay should be a duration such as 500ms"),
        ("gpio:seven", "number of a pin"),
        ("gpio:7?numbering=header", "numbering should be board or bcm"),
        ("gpio:7?pass_pin=7", "each pin can be named once"),
    ],
)
def test_a_bad_uri_is_refused_with_what_is_wrong(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_sink(uri, facts())


def test_an_app_that_judges_no_parts_has_nothing_for_a_reject_output() -> None:
    made = facts()
    counting = SinkFacts("traffic", Event, made.draw, made.streams)
    with pytest.raises(UsageError, match="traffic tells event events and no verdicts"):
        open_sink("modbus://plc/coil/3", counting)


def test_of_several_lines_it_is_said_which_one_the_wire_belongs_to(plc: ModbusServer) -> None:
    uri = f"modbus://127.0.0.1:{plc.port}/coil/3?{RELAXED}&pulse=0"
    with pytest.raises(UsageError, match="this run has 2 streams"):
        open_sink(uri, facts("left", "right"))
    with pytest.raises(UsageError, match="no stream is called 'middle'; found left, right"):
        open_sink(f"{uri}&stream=middle", facts("left", "right"))
    sink = open_sink(f"{uri}&stream=right", facts("left", "right"))
    sink.accept(packet(verdict(0, "reject"), stream="left"))
    sink.accept(packet(verdict(0, "pass"), stream="right"))
    eventually(lambda: gauges(sink)["given"] == 1)
    sink.close()
    assert values(plc) == [1, 0, 1]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymodbus.client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgesdk\[modbus\]'"):
        open_sink("modbus://plc/coil/3", facts())
