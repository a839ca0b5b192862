"""The simulated scenes that are counted: each of the same two minutes with another road."""

from __future__ import annotations

from pathlib import Path

from benchmarks.counting.matching import match
from benchmarks.counting.runs import counted, truth
from edgesdk._resources import data_folder
from edgesdk.apps import load_app

SEEDS = range(901, 951)
"""Training takes none below 1000."""
FPS, SECONDS = 12, 120
LIGHTS = ("day", "overcast", "dusk", "night", "varying")
DENSITIES = (0.4, 0.7, 1.0)
LANES = (4, 2, 4, 6)


def uri_of(seed: int) -> str:
    """Light, traffic and lanes go round with the seed, each with a period of its own."""
    light, lanes = LIGHTS[seed % len(LIGHTS)], LANES[seed % len(LANES)]
    density = DENSITIES[seed % len(DENSITIES)]
    return (
        f"sim://traffic?seed={seed}&fps={FPS}&frames={FPS * SECONDS}"
        f"&light={light}&lanes={lanes}&density={density}"
    )


def scene(seed: int, bundles: dict[str, Path]) -> dict[str, object]:
    """One row of the report: the same scene with each bundle."""
    app, uri = load_app(data_folder("apps") / "traffic_counting"), uri_of(seed)
    true = truth(uri)
    compared = {p: match(true, counted(app, uri, path)) for p, path in bundles.items()}
    return {
        "seed": seed,
        "scene": uri,
        "true_crossings": len(true),
        **{precision: one.to_json() for precision, one in compared.items()},
    }
