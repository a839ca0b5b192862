"""Events to an MQTT broker that is stopped and started: how many are lost, how many come twice.

A real mosquitto with persistence, 200 events/s, five stops of 2 s; a subscriber with a session of
its own counts every message by the event's id. Beside edgesdk's sink, paho-mqtt as it is used
alone: connect, loop_start, publish.
"""

from __future__ import annotations

import json
import logging
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt
import paho.mqtt.client as paho_client

from edgesdk.frames import Frame
from edgesdk.pipeline import Event, Packet
from edgesdk.sinks import SinkFacts, StreamFacts, open_sink
from tests.partners.mosquitto import PROGRAM, Mosquitto

RATE_HZ = 200
STOPS = 5
UP_S, DOWN_S = 3.0, 2.0
TOPIC = "bench/events"
KEEP = {
    signal.SIGTERM: (),
    signal.SIGKILL: ("autosave_interval 1", "autosave_on_changes true"),
}
"""Mosquitto keeps its state at the end; to keep it over a kill it has to save at each change."""
IMAGE = np.zeros((8, 8, 3), np.uint8)


@dataclass(frozen=True)
class Tick(Event):
    number: int


class Subscriber:
    """Counts by the event's number, with a session that outlives the broker's restarts."""

    def __init__(self, port: int, qos: int) -> None:
        self.counts: Counter[int] = Counter()
        self._client = paho_client.Client(
            paho_client.CallbackAPIVersion.VERSION2,
            client_id="subscriber",
            clean_session=False,
            protocol=paho_client.MQTTv311,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos)
        self._client.connect("127.0.0.1", port, keepalive=10)
        self._client.loop_start()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        self.counts[int(json.loads(message.payload)["event"]["number"])] += 1

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def ours(port: int, qos: int, folder: Path) -> tuple[Callable[[int], None], Callable[[], None]]:
    facts = SinkFacts("bench", Tick, lambda p: p.frame.image, (StreamFacts("cam", (8, 8), 25.0),))
    uri = f"mqtt://127.0.0.1:{port}/{TOPIC}?qos={qos}&outbox={folder}/outbox.sqlite&flush=20s"
    sink = open_sink(uri, facts)

    def send(number: int) -> None:
        frame = Frame(IMAGE, number, number * 5_000_000, time.monotonic_ns(), "cam")
        sink.accept(Packet(frame, events=(Tick(number, number * 5.0, number),)))

    return send, sink.close


def alone(port: int, qos: int, folder: Path) -> tuple[Callable[[int], None], Callable[[], None]]:
    client = paho_client.Client(paho_client.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def send(number: int) -> None:
        client.publish(TOPIC, json.dumps({"event": {"number": number}}), qos)

    def close() -> None:
        client.disconnect()
        client.loop_stop()

    return send, close


def row(
    name: str,
    make: Callable[[int, int, Path], tuple[Callable[[int], None], Callable[[], None]]],
    qos: int,
    how: signal.Signals,
) -> dict[str, object]:
    seconds = STOPS * (UP_S + DOWN_S) + UP_S
    with tempfile.TemporaryDirectory() as place, Mosquitto(Path(place), *KEEP[how]) as broker:
        subscriber = Subscriber(broker.port, max(qos, 1))
        time.sleep(0.5)
        send, close = make(broker.port, qos, Path(place))
        calls_ms: list[float] = []
        start_s = time.monotonic()
        switch = threading.Thread(target=switch_off_and_on, args=(broker, how))
        switch.start()
        for number in range(round(seconds * RATE_HZ)):
            time.sleep(max(start_s + number / RATE_HZ - time.monotonic(), 0))
            before_ns = time.perf_counter_ns()
            send(number)
            calls_ms.append((time.perf_counter_ns() - before_ns) / 1e6)
        switch.join()
        sent = len(calls_ms)
        wait_for(subscriber, sent)
        before_s = time.monotonic()
        close()
        closed_s = time.monotonic() - before_s
        time.sleep(1.0)
        subscriber.close()
    counts = subscriber.counts
    return {
        "sender": name,
        "qos": qos,
        "broker_stops": STOPS,
        "stopped_by": how.name,
        "broker_settings": ["persistence true", "max_queued_messages 0", *KEEP[how]],
        "events_sent": sent,
        "ids_missing": sent - len(counts),
        "ids_more_than_once": sum(1 for n in counts.values() if n > 1),
        "call_ms": {
            "median": round(float(np.median(calls_ms)), 4),
            "p99": round(float(np.percentile(calls_ms, 99)), 4),
            "max": round(max(calls_ms), 3),
        },
        "close_s": round(closed_s, 2),
    }


def switch_off_and_on(broker: Mosquitto, how: signal.Signals) -> None:
    for _ in range(STOPS):
        time.sleep(UP_S)
        broker.stop(how)
        time.sleep(DOWN_S)
        broker.start()


def wait_for(subscriber: Subscriber, sent: int) -> None:
    deadline_s = time.monotonic() + 20
    while len(subscriber.counts) < sent and time.monotonic() < deadline_s:
        time.sleep(0.1)


def main() -> dict[str, object]:
    """All rows, one after the other; a stop by SIGTERM lets the broker keep its state."""
    logging.getLogger("edgesdk").setLevel(logging.ERROR)
    rows = [
        row("edgesdk mqtt://?qos=1", ours, 1, signal.SIGTERM),
        row("edgesdk mqtt://", ours, 2, signal.SIGTERM),
        row("paho-mqtt alone", alone, 0, signal.SIGTERM),
        row("paho-mqtt alone", alone, 1, signal.SIGTERM),
        row("paho-mqtt alone", alone, 2, signal.SIGTERM),
        row("edgesdk mqtt://?qos=1", ours, 1, signal.SIGKILL),
        row("edgesdk mqtt://", ours, 2, signal.SIGKILL),
    ]
    assert PROGRAM
    version = subprocess.run([PROGRAM, "-h"], capture_output=True, text=True, check=False)
    return {
        "what": " ".join(__doc__.split()),
        "command": "python -m benchmarks.pipeline.broker",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "broker": version.stdout.splitlines()[0],
        "paho_mqtt": paho.mqtt.__version__,
        "rate_hz": RATE_HZ,
        "rows": rows,
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout, indent=2)
