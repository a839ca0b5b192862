"""The magnetic tiles: good and bad pictures, split so that no tile is on both sides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgesdk.pictures import Picture, PictureSet
from edgesdk.pictures.files import decode
from edgesdk.pictures.set import Loader
from edgesdk.pictures.stores import TarStore

GOOD = "MT_Free"
RUN = 20
"""Good pictures of neighbouring numbers that stay together."""


@dataclass(frozen=True)
class Tiles:
    """Names by kind, each in the order of the running number."""

    store: TarStore
    good: tuple[str, ...]
    bad: tuple[str, ...]

    def pictures(self, names: Sequence[str]) -> PictureSet:
        def loaders() -> Iterator[tuple[str, Loader]]:
            return ((name, partial(self.picture, name)) for name in names)

        return PictureSet("magnetic_tile", len(names), loaders)

    def picture(self, name: str) -> Picture:
        mask = decode(self.store.read(str(PurePosixPath(name).with_suffix(".png"))))
        return Picture(name, decode(self.store.read(name)), mask=mask.max(axis=2) > 127)


def open_tiles(path: Path) -> Tiles:
    store = TarStore(path)
    names = sorted((n for n in store.names() if n.endswith(".jpg")), key=number)
    good = tuple(n for n in names if GOOD in n)
    return Tiles(store, good, tuple(n for n in names if GOOD not in n))


def number(name: str) -> int:
    """The running number: neighbours can show the same tile."""
    found = re.search(r"num_(\d+)", name)
    assert found
    return int(found[1])


def kind(name: str) -> str:
    return next(part for part in name.split("/") if part.startswith("MT_")).removeprefix("MT_")


def split(
    good: Sequence[str], part: int, parts: int, run: int = RUN
) -> tuple[list[str], list[str]]:
    """To fit and to test: runs of neighbours are dealt to `parts` parts, one of which is tested."""
    runs = np.arange(len(good)) // run
    order = np.random.default_rng(0).permutation(runs.max() + 1)
    tested = set(order[part::parts].tolist())
    chosen: NDArray[np.bool_] = np.array([r in tested for r in runs])
    return [n for n, c in zip(good, chosen, strict=True) if not c], [
        n for n, c in zip(good, chosen, strict=True) if c
    ]
