"""Simulated scenes as sources of a pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator

from edgesdk.frames import Frame
from edgesdk.sim.faults import FaultSettings
from edgesdk.sim.faulty import FaultySource
from edgesdk.sim.line import LineScene, LineSettings
from edgesdk.sim.settings import TrafficSettings
from edgesdk.sim.traffic import TrafficScene
from edgesdk.sim.uri import parse_simulation

Scene = TrafficScene | LineScene


def make_scene(settings: TrafficSettings | LineSettings) -> Scene:
    """The scene that the settings describe."""
    return LineScene(settings) if isinstance(settings, LineSettings) else TrafficScene(settings)


class SimSource:
    """A simulated scene, as fast as it can be drawn; its truth is in `scene`."""

    live = False

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.name = name
        self.fps = scene.settings.fps
        self.size = (scene.settings.width, scene.settings.height)
        self.count: int | None = scene.settings.frames

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.scene.settings.frames):
            time_ns = round(index * 1e9 / self.fps)
            image = self.scene.frame(index)
            yield Frame(image, index, time_ns, time.monotonic_ns(), self.name)

    def stop(self) -> None:
        """Its next frame always comes soon."""

    def close(self) -> None:
        """There is nothing to free."""


def open_simulation(uri: str) -> SimSource | FaultySource:
    """The source that a URI names; with the faults it asks for, if any.

    Raises UnknownName for another scene and ConfigError for a key or value that is wrong.
    """
    wanted = parse_simulation(uri)
    source = SimSource(make_scene(wanted.scene), uri)
    return with_faults(source, wanted.faults)


def with_faults(source: SimSource, faults: FaultSettings) -> SimSource | FaultySource:
    """The source itself when there is nothing to go wrong."""
    return FaultySource(source, faults) if faults.any else source
