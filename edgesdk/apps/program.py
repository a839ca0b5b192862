"""What an app's code has to be: two names in app.py, `Settings` and `Program`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgesdk.pipeline import (
    ClassifyPictures,
    Event,
    FindObjects,
    InspectParts,
    Packet,
    Sink,
    Stage,
    Step,
)
from edgesdk.signals import Trigger
from edgesdk.vision.draw import Annotator

Detector = Callable[[str, Sequence[str], float], FindObjects]


def no_detector(bundle: str, classes: Sequence[str], min_score: float) -> FindObjects:
    """Where nobody opens bundles, as in a replay: a stage that is not to be run."""
    return FindObjects()


@dataclass(frozen=True)
class Scene:
    """What an app looks at in this run, and what its detector knows."""

    labels: tuple[str, ...]
    """Class names in the order of the class index; empty when the model brought none."""
    width: int
    """Of the pictures, in pixels."""
    height: int
    fps: float
    """Frames per second of media time."""
    inspect: InspectParts | None = None
    """On an inspection line: the stage that fills in what the model says of `packet.parts`, to be
    put between the app's own stages; a detector may judge as well (`InspectParts.look_for`). An app
    that does not use it has a detector's boxes there already. None: nobody says how the model is
    to be read."""
    trigger: Trigger | None = None
    """What fires for each part; None: the part's own passage through the picture. Owned and closed
    by whoever runs the app."""
    classify: ClassifyPictures | None = None
    """In a run of a classifier: the stage that fills in `packet.classification`, to be put among
    the app's own stages. None: the model is no classifier."""
    count: int | None = None
    """How many frames the source promises; None: that is not known."""
    unread: Callable[[], Mapping[str, str]] = dict
    """Name -> reason of what the source could not read so far; whole once the run is over."""
    stream: str = ""
    """The source's name in a run of several; empty in other runs."""
    detector: Detector = no_detector
    """Gives the stage that finds things in whole frames by another bundle than the run's own, for
    an app whose model judges what is found: `detector(bundle, classes, min_score)`. `bundle` is
    relative to the app's folder; no `classes`: all; `min_score` 0: as the bundle says. The stage
    fills in `packet.detections`."""
    clock_ns: Callable[[], int] = time.monotonic_ns
    """What deadlines are measured with; in a replay it shows the time of then."""
    live: bool = False
    """A camera: times of day mean something. A file only has times since its first frame."""

    def label(self, class_id: int) -> str:
        """The name of a class, or its number where there is none."""
        return self.labels[class_id] if class_id < len(self.labels) else str(class_id)


class Program(Protocol):
    """One run of an app. app.py has a class `Program` made from (settings, scene)."""

    @property
    def event(self) -> type[Event]:
        """The kind of event it tells; its fields are the columns of the events file."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the table of counts, also those that stay 0, e.g. ("down", "up")."""
        ...

    def stages(self) -> Sequence[Stage]:
        """What comes after detection, in order."""
        ...

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """A new picture for the annotated video: BGR, of the size of the frame."""
        ...


@runtime_checkable
class Writes(Protocol):
    """A program that writes files of its own."""

    def sinks(self) -> Sequence[Sink]:
        """They take each packet after the last stage, and are closed however the run ends."""
        ...

    def files(self) -> Sequence[Path]:
        """What to name at the end of a run, of what they write."""
        ...


@runtime_checkable
class TellsMore(Protocol):
    """A program with several kinds of event: each kind has a file and a table of its own."""

    @property
    def others(self) -> Sequence[type[Event]]:
        """The kinds besides `event`."""
        ...


def others_of(program: Program) -> tuple[type[Event], ...]:
    """The kinds of event that it tells besides its first."""
    return tuple(program.others) if isinstance(program, TellsMore) else ()


@dataclass(frozen=True)
class NoSettings:
    """A bundle by itself has nothing to set."""


@dataclass(frozen=True)
class Found(Event):
    """One box of one frame."""

    label: str
    score: float
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    @property
    def counted_as(self) -> tuple[str, str]:
        """Boxes by class: the same object counts in each frame that shows it."""
        return self.label, "boxes"


class Boxes:
    """What runs when a bundle is run without an app: each box is an event."""

    event = Found
    columns = ("boxes",)

    def __init__(self, settings: NoSettings, scene: Scene) -> None:
        self._scene = scene
        self._annotate = Annotator(scene.labels)

    def stages(self) -> tuple[Stage, ...]:
        """One that tells every box."""
        return (Step("boxes", self._tell),)

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """The boxes with their labels."""
        return self._annotate(packet.frame.image, packet.detections)

    def _tell(self, packet: Packet) -> Packet:
        frame, found = packet.frame, packet.detections
        time_ms = round(frame.time_ns / 1e6, 3)
        rows = zip(found.xyxy.tolist(), found.score.tolist(), found.class_id.tolist(), strict=True)
        events = []
        for box, score, class_id in rows:
            edges = (round(edge, 1) for edge in box)
            label = self._scene.label(class_id)
            events.append(Found(frame.index, time_ms, label, round(score, 4), *edges))
        return replace(packet, events=(*packet.events, *events))
