"""A broker that says when a part is there, and is killed: every part has its one verdict."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.frames import Frame
from edgesdk.inspection import PartFinder, PartSettings
from edgesdk.pipeline import Packet, Pipeline, Source, open_source
from edgesdk.signals import open_trigger
from edgesdk.signals.counted import CountedTrigger
from edgesdk.sim import LineScene, LineSettings
from edgesdk.vision.parts import Part
from tests.partners import mosquitto
from tests.partners.mosquitto import Mosquitto
from tests.sinks.samples import eventually

paho = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install paho-mqtt")
pytestmark = pytest.mark.skipif(mosquitto.PROGRAM is None, reason=mosquitto.ABSENT)

KILLED, STARTED, FRAMES = 55, 95, 210
URI = f"sim://line?seed=5&rate=240&fps=50&frames={FRAMES}&live=1"
SCENE = LineScene(LineSettings(seed=5, rate=240, fps=50, frames=FRAMES))


class Line:
    """The camera, and beside it a light barrier that tells the broker of each part."""

    live, count = True, None

    def __init__(self, inner: Source, broker: Mosquitto, barrier: Any) -> None:
        self.name, self.fps, self.size = inner.name, inner.fps, inner.size
        self._inner, self._broker, self._barrier = inner, broker, barrier
        self._passing = {part.frame for part in SCENE.parts()}

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._inner:
            if frame.index in self._passing and self._barrier.is_connected():
                self._barrier.publish("line/part", f"{time.time() * 1e3}", qos=0)
            if frame.index == KILLED:
                self._broker.stop(signal.SIGKILL)
            if frame.index == STARTED:  # it takes a while, and the camera does not wait
                threading.Thread(target=self._broker.start).start()
            yield frame

    def stop(self) -> None:
        self._inner.stop()

    def close(self) -> None:
        self._inner.close()


class Parts:
    name = "parts"

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def accept(self, packet: Packet) -> None:
        self.parts += packet.parts

    def close(self) -> None:
        pass


def test_parts_fail_while_the_broker_that_tells_of_them_is_away(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        barrier = paho.Client(paho.CallbackAPIVersion.VERSION2, "barrier")
        barrier.reconnect_delay_set(1, 1)
        barrier.connect("127.0.0.1", broker.port)
        barrier.loop_start()
        trigger = CountedTrigger(
            open_trigger(f"mqtt://127.0.0.1:{broker.port}/line/part?stamped=1")
        )
        eventually(barrier.is_connected)
        time.sleep(0.5)  # the subscription
        found = Parts()
        look = PartFinder(PartSettings((50, 110)), *open_source(URI).size, trigger.fired)
        Pipeline(Line(open_source(URI), broker, barrier), [look], [found], "newest").run()
        trigger.close()
        barrier.loop_stop()
    parts = [part for part in SCENE.parts() if part.frame < FRAMES - 20]
    for true in parts:
        (own,) = (p for p in found.parts if p.views and abs(p.views[0].frame - true.frame) <= 5)
        if KILLED + 10 < true.frame < STARTED:
            assert own.untriggered
    assert not all(part.untriggered for part in found.parts)
    assert trigger.gauges()["losses"] == 1
