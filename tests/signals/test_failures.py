"""Whatever ends or breaks a run, the wire is in the safe state, or its heart stands still."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesdk.frames import Frame
from edgesdk.pipeline import Packet, Pipeline, StageError, Step
from edgesdk.signals.output import Output
from edgesdk.signals.schedule import Levels
from edgesdk.signals.wires import OutputOptions
from edgesdk.sinks import open_sink
from tests.partners.modbus_server import ABSENT, INSTALLED, ModbusServer
from tests.signals.samples import facts, packet, verdict
from tests.sinks.samples import eventually

needs_modbus = pytest.mark.skipif(not INSTALLED, reason=ABSENT)


class Belt:
    """Thirty frames, one part in each."""

    name, size, fps, count, live = "belt", (8, 8), 20.0, 30, False

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            time.sleep(0.01)
            yield Frame(np.zeros((8, 8, 3), np.uint8), index, index, time.monotonic_ns(), "belt")

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


@needs_modbus
@pytest.mark.parametrize("fails", [True, False], ids=["a stage fails", "the source ends"])
def test_a_run_ends_in_the_safe_state(tmp_path: Path, fails: bool) -> None:
    def judge(taken: Packet) -> Packet:
        if fails and taken.frame.index == 20:
            raise ZeroDivisionError("a defect of the app")
        return replace(taken, events=(verdict(taken.frame.index, "pass"),))

    with ModbusServer(tmp_path) as plc:
        uri = f"modbus://127.0.0.1:{plc.port}/coil/3?pulse=0&tolerance=5s&dead_after=60s"
        sink = open_sink(uri, facts())
        pipeline = Pipeline(Belt(), [Step("judge", judge)], [sink])
        with pytest.raises(StageError) if fails else contextlib.nullcontext():
            pipeline.run()
        told = [row.value for row in plc.written("coil", 3)]
    assert (told[0], told[-1]) == (1, 1)
    assert 0 in told


@needs_modbus
def test_the_heart_of_a_killed_run_stands_still(tmp_path: Path) -> None:
    """Nobody can write the safe state then: the PLC has to see it."""
    code = """
        import sys, time
        from edgesdk.sinks import open_sink
        from tests.signals.samples import facts, packet
        sink = open_sink(sys.argv[1], facts())
        while True:
            sink.accept(packet())
            time.sleep(0.02)
    """
    with ModbusServer(tmp_path) as plc:
        uri = f"modbus://127.0.0.1:{plc.port}/coil/3?heartbeat_coil=9&heartbeat=50ms"
        run = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), uri])
        eventually(lambda: len({row.value for row in plc.written("coil", 9)}) == 2)
        run.send_signal(signal.SIGKILL)
        run.wait(10)
        time.sleep(0.1)  # what the system has sent for it already
        beats = len(plc.written("coil", 9))
        time.sleep(0.3)
        assert len(plc.written("coil", 9)) == beats


class Defective:
    """A wire whose code is wrong from the third value on."""

    shown, slow_s = "test", 0.1

    def __init__(self) -> None:
        self.told: list[Levels] = []
        self.closed = False

    def connect(self, levels: Levels) -> None:
        self.told.append(levels)

    def write(self, levels: Levels, said: Levels | None) -> None:
        if len(self.told) == 2:
            self.told.append(levels)
            raise TypeError("a defect of the wire")
        self.told.append(levels)

    def close(self) -> None:
        self.closed = True


def test_a_defect_of_the_wire_ends_the_run_in_the_safe_state() -> None:
    wire = Defective()
    sink = Output("test", wire, OutputOptions(pulse_s=0, tolerance_s=5, dead_after_s=60), facts())

    def run_on() -> None:
        for part in range(1000):
            sink.accept(packet(verdict(part, "pass")))
            time.sleep(0.005)

    with pytest.raises(TypeError, match="a defect of the wire"):
        run_on()
    sink.close()
    assert wire.told[-1].reject
    assert wire.closed
