"""Events to a real broker that is away, stopped, killed, frozen or refuses."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.pipeline import Sink
from edgesdk.sinks import Measured, open_sink
from tests.partners.mosquitto import ABSENT, PROGRAM, Mosquitto
from tests.sinks.samples import eventually, facts, packet

paho = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install paho-mqtt")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=ABSENT)


class Subscriber:
    """Counts what comes, by id, with a session that outlives the broker's restarts."""

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id="subscriber",
            clean_session=False,
            protocol=paho.MQTTv311,
        )
        if user:
            self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(1, 1)
        self._ready = threading.Event()
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe("gate/#", 2)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port, keepalive=5)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _take(self, client: Any, data: Any, message: Any) -> None:
        body = json.loads(message.payload)
        self.counts[body["id"]] += 1
        self.bodies.append(body)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as started:
        yield started


def sink_for(
    port: int, folder: Path, options: str = "", run_id: str = "RUN", user: str = ""
) -> Sink:
    uri = f"mqtt://{user}127.0.0.1:{port}/gate/events?outbox={folder}/box.sqlite{options}"
    return open_sink(uri, facts(run_id=run_id))


def gauges(sink: Sink) -> dict[str, float]:
    assert isinstance(sink, Measured)
    return dict(sink.gauges())


def test_an_event_arrives_with_all_that_a_receiver_needs(tmp_path: Path, broker: Mosquitto) -> None:
    subscriber = Subscriber(broker.port)
    sink = sink_for(broker.port, tmp_path)
    sink.accept(packet(7, "car"))
    eventually(lambda: bool(subscriber.bodies))
    sink.close()
    subscriber.close()
    (body,) = subscriber.bodies
    time_utc = body.pop("time_utc")
    assert time_utc.endswith("Z")
    assert body == {
        "id": "RUN/cam/1",
        "app": "gate",
        "stream": "cam",
        "kind": "passed",
        "event": {"frame": 7, "time_ms": 280.0, "label": "car", "x_px": 1.5},
    }


@pytest.mark.parametrize(("options", "twice"), [("", 0), ("&qos=1", 20 * 3)])
def test_no_event_is_lost_over_restarts_of_the_broker(
    tmp_path: Path, broker: Mosquitto, options: str, twice: int
) -> None:
    """By default none comes twice; with QoS 1 only what was under way at a stop may."""
    subscriber = Subscriber(broker.port)
    sink = sink_for(broker.port, tmp_path, f"&flush=15s{options}")
    sent = 0

    def send(seconds: float) -> None:
        nonlocal sent
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            sink.accept(packet(sent, "car"))
            sent += 1
            time.sleep(0.005)

    for _ in range(3):
        send(0.7)
        broker.stop()
        send(0.7)
        broker.start()
        eventually(lambda: gauges(sink)["connected"] == 1)
    send(0.3)
    sink.close()
    eventually(lambda: len(subscriber.counts) >= sent)
    time.sleep(0.3)
    subscriber.close()
    assert set(subscriber.counts) == {f"RUN/cam/{n}" for n in range(1, sent + 1)}
    assert sum(n > 1 for n in subscriber.counts.values()) <= twice
    assert gauges(sink)["connections"] == 4


def test_without_a_broker_the_pipeline_does_not_wait_and_the_next_run_sends(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    subscriber = Subscriber(broker.port)
    broker.stop()
    sink = sink_for(broker.port, tmp_path, "&flush=200ms", "FIRST")
    start_s = time.monotonic()
    for index in range(500):
        sink.accept(packet(index, "car"))
    assert time.monotonic() - start_s < 2
    eventually(lambda: gauges(sink)["waiting"] == 500)
    sink.close()
    assert time.monotonic() - start_s < 15
    assert "500 events are not delivered yet" in caplog.text
    broker.start()
    second = sink_for(broker.port, tmp_path, "", "SECOND")
    second.accept(packet(0, "car"))
    eventually(lambda: len(subscriber.counts) == 501)
    second.close()
    subscriber.close()
    firsts = [body["id"] for body in subscriber.bodies]
    assert firsts == [*(f"FIRST/cam/{n}" for n in range(1, 501)), "SECOND/cam/1"]
    assert set(subscriber.counts.values()) == {1}


def test_a_killed_run_loses_nothing_that_it_had_stored(tmp_path: Path, broker: Mosquitto) -> None:
    code = f"""
        import time
        from edgesdk.sinks import open_sink
        from tests.sinks.samples import facts, packet
        sink = open_sink("mqtt://127.0.0.1:{broker.port}/gate/events?outbox={tmp_path}/box.sqlite",
                         facts(run_id="KILLED"))
        for index in range(10**6):
            sink.accept(packet(index, "car"))
            print(index, flush=True)
            time.sleep(0.002)
    """
    subscriber = Subscriber(broker.port)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        for line in run.stdout:
            if line == "300\n":
                broker.stop()
            if line == "900\n":
                run.send_signal(signal.SIGKILL)
                break
    broker.start()
    sink = sink_for(broker.port, tmp_path, "&flush=10s", "NEXT")
    sink.close()
    eventually(lambda: len(subscriber.counts) > 300)
    time.sleep(0.5)
    subscriber.close()
    numbers = sorted(int(name.split("/")[2]) for name in subscriber.counts)
    assert numbers == list(range(1, len(numbers) + 1)), "a hole: an event was lost"
    assert len(numbers) > 400, "what came while the broker was away was stored"
    assert sum(n > 1 for n in subscriber.counts.values()) <= 20 + 50


def test_a_frozen_broker_holds_nobody_up(tmp_path: Path, broker: Mosquitto) -> None:
    subscriber = Subscriber(broker.port)
    sink = sink_for(broker.port, tmp_path, "&keepalive=1&flush=10s")
    sink.accept(packet(0, "car"))
    eventually(lambda: len(subscriber.counts) == 1)
    broker.stop(signal.SIGSTOP)
    start_s = time.monotonic()
    for index in range(1, 300):
        sink.accept(packet(index, "car"))
    assert time.monotonic() - start_s < 2
    eventually(lambda: gauges(sink)["connected"] == 0)
    broker.stop(signal.SIGCONT)
    eventually(lambda: len(subscriber.counts) == 300)
    sink.close()
    subscriber.close()


def test_a_wrong_password_is_said_once_and_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Mosquitto(tmp_path, anonymous=False) as broker:
        sink = sink_for(broker.port, tmp_path, "&flush=100ms", user="me:s3cret@")
        sink.accept(packet(0, "car"))
        eventually(lambda: "it refuses: Not authorized" in caplog.text)
        time.sleep(1.5)
        sink.close()
    assert caplog.text.count("it refuses") == 1
    assert "s3cret" not in caplog.text
    assert "1 events are not delivered yet" in caplog.text


def test_who_hangs_up_without_an_answer_is_said_once_and_asked_ever_less_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a forwarder does whose broker is away."""
    came: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as forwarder:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    forwarder.accept()[0].close()
                    came.append(time.monotonic())

        thread = threading.Thread(target=hang_up)
        thread.start()
        sink = sink_for(forwarder.getsockname()[1], tmp_path, "&flush=0s")
        sink.accept(packet(0, "car"))
        eventually(lambda: len(came) > 2)
        time.sleep(2.0)
        sink.close()
        forwarder.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(came) < 10
    assert caplog.text.count("no connection (it hung up without an answer)") == 1


def test_a_right_password_is_taken_from_the_uri_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = Path(str(PROGRAM)).with_name("mosquitto_passwd")
    if not tool.exists():
        tool = Path("/usr/bin/mosquitto_passwd")
    words = tmp_path / "words"
    subprocess.run([tool, "-b", "-c", words, "me", "p@ss:/w"], check=True, capture_output=True)
    words.chmod(0o644)
    monkeypatch.setenv("BROKER_PASSWORD", "p@ss:/w")
    lines = f"password_file {words}"
    with Mosquitto(tmp_path, lines, anonymous=False) as broker:
        subscriber = Subscriber(broker.port, "me", "p@ss:/w")
        for user, options in (("me:p%40ss%3A%2Fw@", ""), ("me@", "&password_env=BROKER_PASSWORD")):
            sink = sink_for(broker.port, tmp_path, options, run_id=user[:3], user=user)
            sink.accept(packet(0, "car"))
            eventually(lambda s=sink: gauges(s)["delivered"] == 1)  # type: ignore[misc]
            sink.close()
        subscriber.close()
    assert len(subscriber.counts) == 2


def test_a_broker_without_qos_2_gets_qos_1(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "max_qos 1") as broker:
        subscriber = Subscriber(broker.port)
        sink = sink_for(broker.port, tmp_path)
        sink.accept(packet(0, "car"))
        eventually(lambda: len(subscriber.counts) == 1)
        sink.close()
        subscriber.close()
        assert "q1, r0, m1, 'gate/events'" in broker.log()


def test_a_broker_that_takes_few_messages_at_once_gets_no_more(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "max_inflight_messages 3") as broker:
        subscriber = Subscriber(broker.port)
        sink = sink_for(broker.port, tmp_path)
        sink.accept(packet(0, *["car"] * 60))
        eventually(lambda: len(subscriber.counts) == 60)
        eventually(lambda: gauges(sink)["waiting"] == 0)
        connections = gauges(sink)["connections"]
        sink.close()
        subscriber.close()
    assert connections == 1
    assert set(subscriber.counts.values()) == {1}


def test_a_broker_that_forgot_everything_still_gets_every_event(
    tmp_path: Path, broker: Mosquitto
) -> None:
    sink = sink_for(broker.port, tmp_path, "&flush=10s")
    sink.accept(packet(0, "car"))
    eventually(lambda: gauges(sink)["delivered"] == 1)
    broker.stop(signal.SIGKILL)
    (tmp_path / "broker" / "mosquitto.db").unlink(missing_ok=True)
    for index in range(1, 200):
        sink.accept(packet(index, "car"))
    broker.start()
    subscriber = Subscriber(broker.port)
    sink.close()
    assert gauges(sink)["waiting"] == 0
    assert gauges(sink)["delivered"] >= 200
    subscriber.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: apt install openssl")
# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")
def test_a_connection_is_encrypted_and_the_broker_is_who_it_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout key.pem"
    words += " -out cert.pem -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    lines = (f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem")
    with Mosquitto(tmp_path, *lines) as broker:
        unknown = sink_for(broker.port, tmp_path, "&tls=1&flush=100ms")
        unknown.accept(packet(0, "car"))
        eventually(lambda: "certificate verify failed" in caplog.text)
        unknown.close()
        assert gauges(unknown)["delivered"] == 0
        known = sink_for(broker.port, tmp_path, f"&tls=1&ca={tmp_path}/cert.pem&client=gate-1")
        eventually(lambda: gauges(known)["delivered"] == 1)
        known.close()
        assert "as gate-1 (p5" in broker.log()


def test_no_thread_is_left(tmp_path: Path, broker: Mosquitto) -> None:
    before = set(threading.enumerate())
    sink = sink_for(broker.port, tmp_path)
    sink.accept(packet(0, "car"))
    sink.close()
    assert set(threading.enumerate()) == before
