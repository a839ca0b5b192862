"""A camera that hangs again and again: no bad part gets by the ejector, whoever has seen it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgesdk._optional import available
from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.pipeline import Packet
from edgesdk.signals.output import Output
from edgesdk.signals.wires import OutputOptions
from edgesdk.sim import LineScene, LineSettings
from tests.signals.samples import facts
from tests.signals.test_gaps import Wire

pytestmark = pytest.mark.skipif(not available("onnxruntime"), reason="needs onnxruntime")

DELAY_S, PULSE_S = 0.8, 0.08
LINE = LineSettings(seed=26, rate=300, fps=50, frames=190, defects=0.7, light="drift")
URI = "sim://line?seed=26&rate=300&fps=50&frames=190&defects=0.7&light=drift&live=1"


class Ejector:
    """A sink that hands every packet to the output, and keeps when each frame was captured."""

    name = "ejector"

    def __init__(self) -> None:
        self.wire = Wire()
        options = OutputOptions(delay_s=DELAY_S, pulse_s=PULSE_S)
        self.output = Output("ejector", self.wire, options, facts())
        self.captured: list[tuple[int, int]] = []

    def accept(self, packet: Packet) -> None:
        self.captured.append((packet.frame.index, packet.frame.captured_ns))
        self.output.accept(packet)

    def close(self) -> None:
        time.sleep(DELAY_S + PULSE_S)  # the last parts are still on their way
        self.output.close()

    def pushes(self, frame: int) -> bool:
        """A part that passed the station in this frame, at any time of its pulse."""
        index, at_ns = np.array(self.captured, np.float64).T
        due_ns = float(np.interp(frame, index, at_ns)) + DELAY_S * 1e9
        times_ns = due_ns + np.arange(0.005, PULSE_S, 0.005) * 1e9
        return any(self.wire.at(int(now_ns)).reject for now_ns in times_ns)


@pytest.mark.parametrize("freeze", ["0.4s", "1.2s"], ids=["shorter than delay", "longer"])
def test_no_bad_part_gets_by_while_the_camera_hangs(freeze: str) -> None:
    """Parts are in the picture for .6 s, and the ejector is .8 s behind the station."""
    ejector = Ejector()
    request = RunRequest(f"{URI}&freeze={freeze}&freeze_every=2s", policy="newest")
    with prepare_run(load_app("line_inspection"), request, [ejector]) as run:
        run.pipeline.run()
    parts = [part for part in LineScene(LINE).parts() if part.frame > 60]  # the first ones are safe
    bad = [part for part in parts if part.defect]
    frames = {index for index, _ in ejector.captured}
    assert sum(part.frame not in frames for part in bad) >= 1
    assert [part.part for part in bad if not ejector.pushes(part.frame)] == []
    assert not all(levels.reject for _, levels in ejector.wire.told), "it does not push everything"
