"""Cameras that are not there when a run begins join it later, and keep nobody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgesdk.apps.folder import App
from edgesdk.apps.program import Program, Scene, others_of
from edgesdk.capture import Camera
from edgesdk.errors import ConfigError
from edgesdk.frames import Frame
from edgesdk.pipeline import (
    BatchStage,
    Event,
    Finishing,
    Packet,
    Source,
    SourceStats,
    Stage,
    Step,
    Unread,
    blame,
)

GRACE_S = 3.0
"""How long a run waits for its other cameras, once one source is there."""
POLL_S = 0.02


@dataclass(frozen=True)
class AppCode:
    """An app's code as it is run for one stream."""

    scene: Scene
    program: Program
    stages: tuple[Stage, ...]

    @classmethod
    def of(cls, app: App, name: str, scene: Scene) -> AppCode:
        """Made new, with its own state. Raises StageError, which names the app and the stream."""
        with blame(app.name, name):
            program = app.program(app.settings, scene)
            return cls(scene, program, tuple(program.stages()))


def code_for(
    app: App, named: Sequence[tuple[str, Source]], scene: Scene, wait_s: float
) -> list[tuple[Source, AppCode]]:
    """For each named source, what to read it by and the code for it.

    `scene` has all but what the source tells, such as the size; a camera tells it with its first
    picture. One that gives none in time joins when it does; there has to be one source at least
    within `wait_s`, and a single one is waited for. Raises DataError when there is none.
    """
    _wait_for_some([source for _, source in named], wait_s)
    absent = {name for name, source in named if _absent(source)}
    if len(absent) == len(named):  # One camera, which its size waits for; or its size says why.
        absent = set()
    made = {
        name: AppCode.of(app, name, _seen(scene, name, source))
        for name, source in named
        if name not in absent
    }
    known = next(iter(made.values()))
    return [
        _late(app, name, source, known)
        if isinstance(source, Camera) and name in absent
        else (source, made[name])
        for name, source in named
    ]


def size_so_far(source: Source) -> tuple[tuple[int, int], float]:
    """Width and height in pixels, and frames per second; zeros as long as they are unknown."""
    if isinstance(source, LateSource) and _absent(source.camera):
        return (0, 0), 0.0
    return source.size, source.fps


class LateSource:
    """A camera whose first picture is still to come; `joined` is told of it, ahead of its frame.

    What `joined` raises ends this stream, and no other.
    """

    def __init__(self, camera: Camera, joined: Callable[[], None]) -> None:
        self.camera = camera
        self.name, self.live, self.count = camera.name, camera.live, camera.count
        self._joined = joined

    @property
    def size(self) -> tuple[int, int]:
        """Of the camera, which is waited for."""
        return self.camera.size

    @property
    def fps(self) -> float:
        """Of the camera, which is waited for."""
        return self.camera.fps

    def __iter__(self) -> Iterator[Frame]:
        frames = iter(self.camera)
        for frame in frames:
            self._joined()
            yield frame
            break
        yield from frames

    def stats(self) -> SourceStats:
        """How the camera stands."""
        return self.camera.stats()

    def stop(self) -> None:
        """Stop the camera, or the wait for it."""
        self.camera.stop()

    def close(self) -> None:
        """Close the camera."""
        self.camera.close()


class LateProgram:
    """An app's code for a stream that has not begun: as known from another stream, until `join`."""

    def __init__(self, known: AppCode) -> None:
        self.event = known.program.event
        self.others = others_of(known.program)
        self.columns = known.program.columns
        self._known = known
        self._code: AppCode | None = None

    def join(self, code: AppCode) -> None:
        """From now on this is run. Raises ConfigError when its stages are not those of the others.

        It is called before the stream's first packet begins its way.
        """
        names, known = ([stage.name for stage in each.stages] for each in (code, self._known))
        if names != known:
            raise ConfigError(
                f"its app has the stages {', '.join(names)} for {code.scene.width}x"
                f"{code.scene.height} pixels, and {', '.join(known)} for the other streams",
                "bring the cameras to one size, or run them apart",
            )
        self._code = code

    def stages(self) -> tuple[Stage, ...]:
        """Stand-ins; a BatchStage is one for all streams, and stays."""
        return tuple(
            stage
            if isinstance(stage, BatchStage)
            else Step(stage.name, partial(self._run, place), partial(self._rest, place))
            for place, stage in enumerate(self._known.stages)
        )

    def draw(self, packet: Packet) -> NDArray[np.uint8]:
        """As the app draws."""
        assert self._code is not None
        return self._code.program.draw(packet)

    def _run(self, place: int, packet: Packet) -> Packet:
        assert self._code is not None
        return self._code.stages[place](packet)

    def _rest(self, place: int, last: Packet) -> Sequence[Event]:
        assert self._code is not None
        stage = self._code.stages[place]
        return stage.finish(last) if isinstance(stage, Finishing) else ()


def _late(app: App, name: str, camera: Camera, known: AppCode) -> tuple[Source, AppCode]:
    program = LateProgram(known)

    def join() -> None:
        program.join(AppCode.of(app, name, _seen(known.scene, name, camera)))

    return LateSource(camera, join), AppCode(known.scene, program, program.stages())


def _seen(scene: Scene, name: str, source: Source) -> Scene:
    width, height = source.size
    seen = replace(
        scene,
        width=width,
        height=height,
        fps=source.fps,
        live=source.live,
        count=source.count,
        stream=name,
    )
    return replace(seen, unread=lambda: source.unread) if isinstance(source, Unread) else seen


def _absent(source: Source) -> bool:
    return isinstance(source, Camera) and not source.decided


def _wait_for_some(sources: Sequence[Source], wait_s: float) -> None:
    """Until all are there, or some are and the others had their time."""
    until_s = time.monotonic() + wait_s
    while len(sources) > 1 and (absent := [each for each in sources if _absent(each)]):
        if len(absent) < len(sources):
            until_s = min(until_s, time.monotonic() + GRACE_S)
        if time.monotonic() >= until_s:
            return
        time.sleep(POLL_S)
