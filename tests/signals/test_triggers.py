"""Triggers: a PLC's coil, input or counter and a broker's topic fire once for each part."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from edgesdk.errors import EdgeError, UnknownName, UsageError
from edgesdk.signals import Trigger, open_trigger
from edgesdk.signals.firings import Count, Edges, Firings, TriggerLost
from tests.partners import modbus_server, mosquitto
from tests.partners.modbus_server import ModbusServer
from tests.partners.mosquitto import Mosquitto
from tests.sinks.samples import eventually

MS = 1_000_000
needs_modbus = pytest.mark.skipif(not modbus_server.INSTALLED, reason=modbus_server.ABSENT)
needs_broker = pytest.mark.skipif(mosquitto.PROGRAM is None, reason=mosquitto.ABSENT)


@pytest.fixture
def plc(tmp_path: Path) -> Iterator[ModbusServer]:
    with ModbusServer(tmp_path) as started:
        yield started


def is_read(trigger: Trigger) -> bool:
    try:
        trigger.fired()
    except EdgeError:
        return False
    return True


def collected(trigger: Trigger, count: int) -> list[int]:
    """Its next `count` firings, and no more than those."""
    times_ns: list[int] = []

    def enough() -> bool:
        times_ns.extend(trigger.fired())
        return len(times_ns) >= count

    eventually(enough)
    time.sleep(0.05)
    times_ns.extend(trigger.fired())
    assert len(times_ns) == count
    return times_ns


@needs_modbus
@pytest.mark.parametrize("table", ["coil", "input"])
def test_each_rising_edge_of_a_plc_fires_once_with_its_time(plc: ModbusServer, table: str) -> None:
    trigger = open_trigger(f"modbus://127.0.0.1:{plc.port}/{table}/1")
    eventually(lambda: is_read(trigger))
    client = plc.client()
    bounds_ns = []
    for _ in range(3):
        begin_ns = time.monotonic_ns()
        client.write_coil(1, True, device_id=1)
        time.sleep(0.1)
        bounds_ns.append((begin_ns - 50 * MS, time.monotonic_ns()))
        client.write_coil(1, False, device_id=1)
        time.sleep(0.1)
    times_ns = collected(trigger, 3)
    assert times_ns == sorted(times_ns)
    for at_ns, (begin_ns, end_ns) in zip(times_ns, bounds_ns, strict=True):
        assert begin_ns <= at_ns <= end_ns
    trigger.close()
    client.close()


@needs_modbus
def test_a_counter_misses_no_pulse_however_short(plc: ModbusServer) -> None:
    client = plc.client()
    client.write_register(20, 65530, device_id=1)
    trigger = open_trigger(f"modbus://127.0.0.1:{plc.port}/counter/20?poll=50ms")
    eventually(lambda: is_read(trigger))
    for count in range(1, 31):
        client.write_register(20, (65530 + count) % 65536, device_id=1)
    times_ns = collected(trigger, 30)
    assert times_ns == sorted(set(times_ns))
    trigger.close()
    client.close()


@needs_modbus
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_plc_that_is_gone_is_an_error_and_not_silence(
    plc: ModbusServer, number: signal.Signals
) -> None:
    trigger = open_trigger(f"modbus://127.0.0.1:{plc.port}/coil/1?timeout=200ms")
    eventually(lambda: is_read(trigger))
    plc.stop(number)
    eventually(lambda: not is_read(trigger))
    with pytest.raises(TriggerLost, match=r"/coil/1: (no |the PLC closed the connection)"):
        trigger.fired()
    if number == signal.SIGSTOP:
        plc.stop(signal.SIGCONT)
    else:
        plc.start()
    eventually(lambda: is_read(trigger))
    client = plc.client()
    client.write_coil(1, True, device_id=1)
    assert len(collected(trigger, 1)) == 1
    trigger.close()
    client.close()


@needs_modbus
def test_what_a_plc_forgot_while_it_was_gone_is_no_edge(plc: ModbusServer) -> None:
    client = plc.client()
    client.write_coil(1, True, device_id=1)
    client.close()
    trigger = open_trigger(f"modbus://127.0.0.1:{plc.port}/coil/1?edge=falling&timeout=200ms")
    eventually(lambda: is_read(trigger))
    plc.stop()
    eventually(lambda: not is_read(trigger))
    plc.start()  # with the coil at 0
    fired: list[int] = []

    def read_again() -> bool:
        try:
            fired.extend(trigger.fired())
        except EdgeError:
            return False
        return True

    eventually(read_again)
    time.sleep(0.1)
    assert (*fired, *trigger.fired()) == ()
    trigger.close()


@needs_modbus
def test_an_address_that_the_plc_does_not_have_is_named(plc: ModbusServer) -> None:
    trigger = open_trigger(f"modbus://127.0.0.1:{plc.port}/coil/5000")

    def refused() -> bool:
        try:
            trigger.fired()
        except EdgeError as error:
            return "the PLC refuses coil 5000: illegal data address" in error.message
        return False

    eventually(refused)
    trigger.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as started:
        yield started


def publisher(broker: Mosquitto) -> Any:
    paho = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install paho-mqtt")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    return client


@needs_broker
def test_each_message_fires_once_and_kept_ones_do_not(broker: Mosquitto) -> None:
    client = publisher(broker)
    client.publish("line/part", b"old", 1, retain=True).wait_for_publish(10)
    trigger = open_trigger(f"mqtt://127.0.0.1:{broker.port}/line/part")
    eventually(lambda: is_read(trigger))
    begin_ns = time.monotonic_ns()
    for _ in range(5):
        client.publish("line/part", b"", 2)
    times_ns = collected(trigger, 5)
    assert times_ns == sorted(times_ns)
    assert times_ns[0] >= begin_ns
    trigger.close()
    client.disconnect()
    client.loop_stop()


@needs_broker
def test_a_message_may_say_when_it_fired(broker: Mosquitto) -> None:
    client = publisher(broker)
    trigger = open_trigger(f"mqtt://127.0.0.1:{broker.port}/line/part?stamped=1")
    eventually(lambda: is_read(trigger))
    fired_ns, fired_ms = time.monotonic_ns(), time.time() * 1e3
    time.sleep(0.3)
    client.publish("line/part", f"{fired_ms:.3f}".encode(), 1)
    (at_ns,) = collected(trigger, 1)
    assert abs(at_ns - fired_ns) < 200 * MS
    client.publish("line/part", f"{fired_ms - 60_000:.3f}".encode(), 1)
    eventually(lambda: not is_read(trigger))
    trigger.close()
    client.disconnect()
    client.loop_stop()


@needs_broker
def test_a_broker_that_is_gone_is_an_error_and_comes_back(broker: Mosquitto) -> None:
    trigger = open_trigger(f"mqtt://127.0.0.1:{broker.port}/line/part")
    eventually(lambda: is_read(trigger))
    broker.stop(signal.SIGKILL)
    eventually(lambda: not is_read(trigger))
    broker.start()
    eventually(lambda: is_read(trigger))
    client = publisher(broker)
    client.publish("line/part", b"", 1)
    assert len(collected(trigger, 1)) == 1
    trigger.close()
    client.disconnect()
    client.loop_stop()


def test_a_level_that_bounces_fires_once() -> None:
    edges = Edges(rising=True, debounce_ns=50 * MS)
    levels = "0010110001111000011"
    fired = [at for i, bit in enumerate(levels) for at in edges.read(int(bit), i * 10 * MS)]
    # Rising between 10 and 20, 30 and 40, 80 and 90, 160 and 170 ms; the second is a bounce.
    assert fired == [15 * MS, 85 * MS, 165 * MS]


def test_a_falling_edge_fires_where_it_is_asked_for() -> None:
    edges = Edges(rising=False, debounce_ns=0)
    fired = [at for i, bit in enumerate("1101") for at in edges.read(int(bit), i * 10)]
    assert fired == [15]


def test_what_was_before_the_connection_was_lost_is_no_edge() -> None:
    edges = Edges(rising=True, debounce_ns=0)
    edges.read(0, 0)
    edges.forget()
    assert edges.read(1, 10) == ()


def test_a_counter_that_was_reset_is_an_error() -> None:
    count = Count()
    assert count.read(5000, 0) == ()
    with pytest.raises(EdgeError, match="from 5000 to 3: it was reset"):
        count.read(3, 10)
    assert len(count.read(4, 20)) == 1


@settings(deadline=None)
@given(st.integers(0, 65535), st.lists(st.integers(0, 1000), max_size=20))
def test_a_counter_fires_for_each_part_once_and_in_order(start: int, steps: list[int]) -> None:
    count, value, fired = Count(), start, list[int]()
    count.read(value, 0)
    for number, step in enumerate(steps, 1):
        value = (value + step) % 65536
        times_ns = count.read(value, number * 10_000)
        assert len(times_ns) == step
        assert all((number - 1) * 10_000 <= at_ns <= number * 10_000 for at_ns in times_ns)
        fired.extend(times_ns)
    assert fired == sorted(fired)


def test_a_loss_that_is_over_is_told_once() -> None:
    """Who asks once a frame would else not know that parts may have gone by."""
    firings = Firings("gpio:7")
    firings.find()
    firings.add(1)
    firings.lose(TriggerLost("gone"))
    firings.find()
    assert firings.take() == (1,)
    with pytest.raises(TriggerLost, match="gone"):
        firings.take()
    assert firings.take() == ()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("23", "such as modbus://"),
        ("modbus://plc/register/1", "coil/N, input/N, counter/N are needed"),
        ("modbus://plc/coil/1?edge=up", "edge should be rising or falling"),
        ("modbus://plc/coil/1?pol=5ms", "did you mean poll"),
        ("modbus://plc/coil/1?poll=0", "poll should be above 0"),
        ("mqtt://broker", "a broker and a topic"),
        ("mqtt://broker/a/+", "without"),
        ("mqtt://u@broker/a?password_env=NOT_SET", "NOT_SET is not set"),
        ("gpio:seven", "number of a pin"),
        ("gpio:7?edge=both", "edge should be rising or falling"),
    ],
)
def test_a_bad_uri_is_refused_with_what_is_wrong(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_trigger(uri)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean modbus"):
        open_trigger("modbuss://plc/coil/1")


@needs_broker
def test_no_trigger_shows_a_secret(tmp_path: Path) -> None:
    trigger = open_trigger(f"mqtt://me:s3cret@127.0.0.1:{mosquitto.free_port()}/line/part")
    eventually(lambda: not is_read(trigger))
    with pytest.raises(EdgeError) as lost:
        trigger.fired()
    trigger.close()
    assert "s3cret" not in f"{trigger.name} {lost.value.message} {lost.value.hint}"
