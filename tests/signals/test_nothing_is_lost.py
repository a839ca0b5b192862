"""Broker and PLC go and return under load: the safe state holds and no verdict is lost."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesdk.inspection import Verdict
from edgesdk.sinks import Measured, open_sinks
from tests.partners import modbus_server, mosquitto
from tests.partners.modbus_server import ModbusServer, Written
from tests.partners.mosquitto import Mosquitto
from tests.signals.samples import facts, packet, unseen, verdict
from tests.sinks.samples import eventually

paho = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install paho-mqtt")
pytestmark = [
    pytest.mark.skipif(mosquitto.PROGRAM is None, reason=mosquitto.ABSENT),
    pytest.mark.skipif(not modbus_server.INSTALLED, reason=modbus_server.ABSENT),
]

MS = 1_000_000
DELAY_MS = 150
COIL, REGISTER = 3, 20
OPTIONS = (
    f"delay={DELAY_MS}ms&tolerance=400ms&pulse=0&heartbeat=50ms&timeout=200ms&dead_after=60s"
    f"&part_register={REGISTER}"
)


def test_a_broker_that_is_killed_twice_loses_no_verdict_and_holds_up_no_output(
    tmp_path: Path,
) -> None:
    """It keeps what it has acknowledged, as a broker does that is meant to lose nothing."""
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", "autosave_interval 1", "autosave_on_changes true")
    plc = ModbusServer(tmp_path)
    sent: list[Verdict] = []
    with broker, plc, listening(broker.port) as heard:
        sinks = open_sinks(
            [
                f"mqtt://127.0.0.1:{broker.port}/line/v?outbox={tmp_path}/box&flush=20s",
                f"modbus://127.0.0.1:{plc.port}/coil/{COIL}?{OPTIONS}",
            ],
            facts(),
        )
        output = sinks[-1]
        assert isinstance(output, Measured)
        for step in range(60):
            if step in {15, 35}:
                broker.stop(signal.SIGKILL)
            if step in {23, 45}:
                broker.start()
            sent.append(verdict(step, "reject" if step % 4 == 0 else "pass"))
            for sink in sinks:
                sink.accept(packet(sent[-1]))
            time.sleep(0.05)
        eventually(lambda: output.gauges()["waiting"] == 0)
        for sink in reversed(sinks):
            sink.close()
        eventually(lambda: len(heard) == len(sent), 15)
    assert output.gauges()["given"] == len(sent)
    assert min(heard.values()) >= 1


def test_the_broker_is_stopped_and_the_plc_killed_under_load(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    broker, plc = Mosquitto(tmp_path / "broker"), ModbusServer(tmp_path)
    sent: list[Verdict] = []
    with broker, plc, listening(broker.port) as heard:
        sinks = open_sinks(
            [
                f"sqlite:{tmp_path}/v.db",
                f"mqtt://127.0.0.1:{broker.port}/line/v?outbox={tmp_path}/box&flush=20s",
                f"modbus://127.0.0.1:{plc.port}/coil/{COIL}?{OPTIONS}",
            ],
            facts(),
        )
        output = sinks[-1]
        assert isinstance(output, Measured)

        def load(seconds: float) -> None:
            """20 parts a second, each fourth bad, each tenth unseen."""
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                part = len(sent)
                made = verdict(part, "reject" if part % 4 == 0 else "pass")
                sent.append(unseen(part) if part % 10 == 5 else made)
                for sink in sinks:
                    sink.accept(packet(sent[-1]))
                time.sleep(0.05)

        load(0.8)
        broker.stop()  # in order: what it has taken and not handed on yet is its own to keep
        plc.stop(signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        load(0.8)
        broker.start()
        back_ns = time.monotonic_ns()
        plc.start()
        load(3.0)
        eventually(lambda: output.gauges()["waiting"] == 0)
        for sink in reversed(sinks):
            sink.close()
        eventually(lambda: len(heard) == len(sent))
    given, failed = output.gauges()["given"], output.gauges()["failed_safe"]
    assert given + failed == len(sent)
    assert 0 < failed < len(sent) / 2
    check_the_wire(plc.written(), sent, killed_ns, back_ns)
    assert set(heard.values()) == {1}
    with contextlib.closing(sqlite3.connect(tmp_path / "v.db")) as database:
        rows = database.execute("SELECT part, outcome FROM verdict ORDER BY part").fetchall()
    assert rows == [(each.part, each.outcome) for each in sent]


def check_the_wire(
    written: list[Written], sent: list[Verdict], killed_ns: int, back_ns: int
) -> None:
    """The first value is the safe state, at the start and after the return; every verdict that the
    PLC got is right, for the part whose number it got with it, and not earlier than it was due."""
    coil = [row for row in written if (row.table, row.address) == ("coil", COIL)]
    assert coil[0].value == coil[-1].value == 1
    assert not [row for row in written if killed_ns < row.at_ns < back_ns]
    assert next(row for row in coil if row.at_ns >= back_ns).value == 1
    level, number = 1, 0
    got: Counter[int] = Counter()
    for row in written:
        if row.table == "coil":
            level = row.value
        elif row.value not in (0, number):
            number = row.value
            part = sent[number - 1]
            got[number] += 1
            assert level == (part.outcome == "reject"), f"part {part.part}"
            assert row.at_ns >= part.triggered_ns + DELAY_MS * MS
    assert set(got.values()) == {1}
    assert any(sent[n - 1].triggered_ns > back_ns for n in got)


class listening(contextlib.AbstractContextManager[Counter[str]]):  # noqa: N801 - reads as a verb
    """What a subscriber gets, by id; its session outlives the broker's restart."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._heard: Counter[str] = Counter()

    def __enter__(self) -> Counter[str]:
        ready = threading.Event()
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, "listener", False, protocol=paho.MQTTv311
        )
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda client, *_: client.subscribe("line/#", 2)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = self._hear
        client.connect("127.0.0.1", self._port, keepalive=5)
        client.loop_start()
        self._stop: Callable[[], Any] = lambda: (client.disconnect(), client.loop_stop())
        assert ready.wait(10)
        return self._heard

    def __exit__(self, *error: object) -> None:
        self._stop()

    def _hear(self, client: Any, data: Any, message: Any) -> None:
        self._heard[json.loads(message.payload)["id"]] += 1
