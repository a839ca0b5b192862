"""Judges the parts on a conveyor: one verdict a part, in time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesdk.apps import Scene
from edgesdk.errors import ModelError
from edgesdk.inspection import (
    InspectionView,
    Judge,
    JudgeSettings,
    PartFinder,
    PartSettings,
    Verdict,
)
from edgesdk.pipeline import Packet, Stage, Step


@dataclass(frozen=True)
class Settings:
    """The table [settings] of app.toml."""

    parts: PartSettings = field(default_factory=PartSettings)
    """How parts are found on the belt, and when they are due."""
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    """How a score becomes a verdict."""


class Program:
    """Frames -> parts that are due -> what the model says of them -> verdicts."""

    event = Verdict
    columns = ("pass", "reject")

    def __init__(self, settings: Settings, scene: Scene) -> None:
        if scene.inspect is None:
            raise ModelError(
                "line inspection needs a model that judges pictures of parts, and this one finds"
                " boxes in whole pictures",
                'its decoder should be "anomaly" or "classes"; make one with edgesdk fit',
            )
        fired = scene.trigger.fired if scene.trigger else None
        self._inspect = scene.inspect
        self._finder = PartFinder(settings.parts, scene.width, scene.height, fired)
        self._judge = Judge(settings.judge, scene.inspect.threshold, scene.clock_ns)
        self._view = InspectionView(self._finder.station_px, settings.parts.moves)

    def stages(self) -> tuple[Stage, ...]:
        """Parts are located ahead of the model's thread, and judged after it."""
        return self._finder, self._inspect, self._judge, Step("note", self._view.note)

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """Parts with their verdicts, the counts so far, and the last reject with its heat map."""
        return self._view.draw(packet)
