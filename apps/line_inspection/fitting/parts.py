"""Pictures of simulated parts, cut out by the app's own stage: as the model will see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from edgesdk import pictures
from edgesdk._digest import sha256_bytes
from edgesdk.apps import load_app
from edgesdk.inspection import PartFinder
from edgesdk.pictures.set import Loader, given
from edgesdk.pipeline import Packet
from edgesdk.sim import LineScene, LineSettings, parse_simulation
from edgesdk.sim.source import SimSource
from edgesdk.vision.parts import Part
from fitting.flaws import Picture

GOOD = tuple(
    f"sim://line?seed={200 + i}&defects=0&rate={(1200, 600)[i // 4]}&fps=25"
    f"&frames={(540, 800)[i // 4]}&light=drift&wobble=0.1&blur={(0.6, 1.0)[i % 2]}"
    f"&noise={(3, 5)[i // 2 % 2]}"
    for i in range(8)
)
"""Lines to learn from."""
MIXED = tuple(
    f"sim://line?seed={300 + i}&defects=0.5&rate=600&fps=25&frames=520&light=drift&wobble=0.1"
    for i in range(4)
)
"""Others, to try the model on."""


def good_parts(share: float = 1.0) -> list[Picture]:
    """One picture of each part of the lines to learn from, or of their first `share`, 0..1."""
    return [part.views[0].picture for uri in GOOD for part in _parts(_scene(uri, share))]


def labelled_parts(share: float = 1.0) -> Iterator[tuple[str, Picture]]:
    """(defect or empty, picture) of each part of the lines to try, or of their first `share`."""
    for uri in MIXED:
        scene = _scene(uri, share)
        defects = {part.part: part.defect for part in scene.parts()}
        for part in _parts(scene):
            view = part.views[0]
            truth = scene.truth(view.frame)
            whole = truth[truth.class_id == 0]
            away = np.abs(whole.xyxy[:, 0] - view.box[0])
            yield defects[int(whole.track_id[away.argmin()])], view.picture


def as_set(crops: Sequence[Picture], name: str) -> pictures.PictureSet:
    """The pictures as `edgesdk.anomaly.fit` takes them."""

    def loaders() -> Iterator[tuple[str, Loader]]:
        for i, crop in enumerate(crops):
            yield f"part {i}", partial(given, pictures.Picture(f"part {i}", crop, class_id=0))

    digest = sha256_bytes(b"".join(crop.tobytes() for crop in crops))
    return pictures.PictureSet(name, len(crops), loaders, True, digester=lambda chosen: digest)


def _scene(uri: str, share: float) -> LineScene:
    scene = parse_simulation(uri).scene
    assert isinstance(scene, LineSettings)
    return LineScene(replace(scene, frames=round(share * scene.frames)))


def _parts(scene: LineScene) -> Iterator[Part]:
    app = load_app(Path(__file__).parents[1])
    source = SimSource(scene, "sim://line")
    finder = PartFinder(app.settings.parts, *source.size)
    for frame in source:
        yield from finder(Packet(frame)).parts
