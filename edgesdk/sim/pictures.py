"""A simulated scene as a set of labelled pictures, to calibrate and measure with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from edgesdk._digest import sha256_bytes
from edgesdk._version import __version__
from edgesdk.pictures import Picture, PictureSet
from edgesdk.pictures.set import Loader
from edgesdk.sim.line import LINE_LABELS, LineScene, LineSettings, TruePart
from edgesdk.sim.traffic import TrafficScene
from edgesdk.sim.uri import parse_scene

AROUND = 4 / 3
"""Side of a part's picture, as a multiple of the part's diameter."""


def simulated_pictures(uri: str) -> PictureSet:
    """Each frame of a road at `uri`, e.g. "sim://traffic?frames=64&fps=2", with its boxes.

    Of a line, such as "sim://line?frames=2000": each part that passes, cut out as it is inspected,
    with a class: 0 for a good one, else the place of its defect in LINE_LABELS.

    A low fps spreads the frames over more time, so that they differ more. Raises ConfigError for
    a wrong URI.
    """
    settings = parse_scene(uri)
    if isinstance(settings, LineSettings):
        return _parts(uri, LineScene(settings))
    scene = TrafficScene(settings)

    def load(index: int) -> Picture:
        return Picture(f"frame {index}", scene.frame(index), scene.truth(index))

    def loaders() -> Iterator[tuple[str, Loader]]:
        return ((f"frame {i}", partial(load, i)) for i in range(scene.settings.frames))

    return PictureSet(
        uri, scene.settings.frames, loaders, labelled=True, digester=partial(_digest, uri)
    )


def _parts(uri: str, scene: LineScene) -> PictureSet:
    parts, side_px = scene.parts(), round(AROUND * scene.part_px)

    def name(part: TruePart) -> str:
        return f"{part.defect or 'good'}/part {part.part}"

    def load(part: TruePart) -> Picture:
        class_id = LINE_LABELS.index(part.defect) if part.defect else 0
        return Picture(name(part), scene.picture_of(part, side_px), class_id=class_id)

    def loaders() -> Iterator[tuple[str, Loader]]:
        return ((name(part), partial(load, part)) for part in parts)

    return PictureSet(uri, len(parts), loaders, labelled=True, digester=partial(_digest, uri))


def _digest(uri: str, chosen: Sequence[int] | None) -> str:
    """The same version draws the same pictures; another one may not."""
    numbers = "all" if chosen is None else list(chosen)
    return sha256_bytes(f"{uri} {__version__} {numbers}".encode())
