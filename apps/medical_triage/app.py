"""Puts single pictures in the order of their urgency. Not a medical device: sample software."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgesdk.apps import Scene
from edgesdk.errors import ModelError, UsageError
from edgesdk.pipeline import Packet, Sink, Stage, Step
from edgesdk.triage import Ranker, Triaged, TriageSettings, Worklist, draw_card


@dataclass(frozen=True)
class Settings:
    """The table [settings] of app.toml."""

    triage: TriageSettings = field(default_factory=TriageSettings)
    """How probabilities become an order."""
    folder: str = "worklist"
    """Where the list goes, relative to the current folder; new or empty."""


class Program:
    """Pictures -> calibrated probabilities -> events, and the worklist at the end."""

    event = Triaged
    columns = ("sure", "uncertain", "unread")

    def __init__(self, settings: Settings, scene: Scene) -> None:
        if scene.classify is None:
            raise ModelError(
                "triage needs a model that classifies whole pictures, and this one does not",
                'its decoder should be "classes", with the temperature that was fitted',
            )
        if scene.stream:
            raise UsageError(
                "a worklist is made of one source, and this run has several",
                "put the pictures into one folder, or run them one after another",
            )
        self._classify = scene.classify
        self._ranker = Ranker(settings.triage, scene.labels)
        self._calm = scene.labels.index(settings.triage.order[-1])
        self._worklist = Worklist(
            Path(settings.folder), self._ranker, self._card, scene.unread, scene.count
        )

    def stages(self) -> tuple[Stage, ...]:
        """The model, and what follows from it."""
        return self._classify, Step("triage", self._judge)

    def sinks(self) -> tuple[Sink, ...]:
        """What a run writes besides the events."""
        return (self._worklist,)

    def files(self) -> tuple[Path, ...]:
        """What is named at the end of a run."""
        return (self._worklist.page,)

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """The picture with its heat map, in the frame's size."""
        size = packet.frame.width, packet.frame.height
        return np.asarray(cv2.resize(self._card(packet), size, interpolation=cv2.INTER_AREA))

    def _judge(self, packet: Packet) -> Packet:
        assert packet.classification is not None
        event = self._ranker.judge(packet.frame, packet.classification)
        return replace(packet, events=(*packet.events, event))

    def _card(self, packet: Packet) -> NDArray[np.uint8]:
        (event,) = (each for each in packet.events if isinstance(each, Triaged))
        assert packet.classification is not None
        return draw_card(packet.frame.image, event, packet.classification, self._calm)
