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
                "line inspection needs a model that judges pictures of parts, and of this one"
                " nobody says how it is read",
                'its spec should have a [decoder]: "anomaly", "classes", "masks" or a detector\'s',
            )
        fired, parts = scene.trigger.fired if scene.trigger else None, settings.parts
        self._inspect = scene.inspect
        self._inspect.look_for(settings.judge.defects)
        self._detector = (
            (scene.detector(parts.bundle, parts.classes, parts.min_score),)
            if parts.finder == "detector"
            else ()
        )
        self._finder = PartFinder(parts, scene.width, scene.height, fired)
        self._judge = Judge(settings.judge, scene.inspect.threshold, scene.clock_ns)
        self._view = InspectionView(self._finder.station_px, settings.parts.moves)

    def stages(self) -> tuple[Stage, ...]:
        """Parts are located ahead of the model's thread, and judged after it."""
        note = Step("note", self._view.note)
        return *self._detector, self._finder, self._inspect, self._judge, note

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """Parts with their verdicts, the counts so far, and the last reject with its heat map."""
        return self._view.draw(packet)
