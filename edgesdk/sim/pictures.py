"""A simulated scene as a set of labelled pictures, to calibrate and measure with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from edgesdk._digest import sha256_bytes
from edgesdk._version import __version__
from edgesdk.pictures import Picture, PictureSet
from edgesdk.pictures.set import Loader
from edgesdk.sim.traffic import TrafficScene
from edgesdk.sim.uri import parse_uri


def simulated_pictures(uri: str) -> PictureSet:
    """Each frame of the scene at `uri`, e.g. "sim://traffic?frames=64&fps=2", with its boxes.

    A low fps spreads the frames over more time, so that they differ more. Raises ConfigError for
    a wrong URI.
    """
    scene = TrafficScene(parse_uri(uri))

    def load(index: int) -> Picture:
        return Picture(f"frame {index}", scene.frame(index), scene.truth(index))

    def loaders() -> Iterator[tuple[str, Loader]]:
        return ((f"frame {i}", partial(load, i)) for i in range(scene.settings.frames))

    def digest(chosen: Sequence[int] | None) -> str:
        # The same version draws the same frames; another one may not.
        numbers = "all" if chosen is None else list(chosen)
        return sha256_bytes(f"{uri} {__version__} {numbers}".encode())

    return PictureSet(uri, scene.settings.frames, loaders, labelled=True, digester=digest)
