"""Identities: HOTA, IDF1 and switches by TrackEval, all trackers on the same detections.

PETS09-S2L1 with the persons that two detectors see from several scores on; the same backwards. And
how far each of our settings moves the figures, also on true boxes with a third lost and on
simulated roads, so that nobody has to believe one number.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pipeline.rounds import as_object, versions
from benchmarks.tracking.detections import Sequence, pets, thinned, traffic
from benchmarks.tracking.followers import edgesdk, peers
from benchmarks.tracking.metrics import scored
from edgesdk._resources import assets_folder
from edgesdk.vision.tracker import TrackerSettings

THRESHOLDS = {"yolox-nano": (0.1, 0.25, 0.4), "nanodet-m": (0.3, 0.4)}
MOVED: dict[str, tuple[float, ...]] = {
    "high_score": (0.4, 0.6),
    "match_fit": (0.05, 0.2),
    "low_match_fit": (0.1, 0.3),
    "gate_sigma": (3.0, 5.0),
    "gate_sizes": (1.0, 2.0),
    "doubt_fit": (0.0, 0.25, 0.6),
    "recent_s": (0.2, 1.0),
    "lost_s": (0.8, 3.0),
    "motion.measured": (0.07, 0.14),
    "motion.acceleration": (0.2, 0.45),
    "motion.first_velocity": (5.0, 20.0),
}
"""Settings and what they are set to instead, one at a time."""


def changed(name: str, value: float) -> TrackerSettings:
    """Ours with one setting changed."""
    settings = TrackerSettings()
    *inside, field = name.split(".")
    if inside:
        return replace(settings, motion=replace(settings.motion, **{field: value}))
    return replace(settings, **{field: value})


def compared(sequence: Sequence) -> dict[str, Any]:
    """Every tracker on one sequence."""
    ours = {
        "edgesdk": TrackerSettings(),
        "edgesdk, every sighting named": TrackerSettings(doubt_fit=0),
    }
    makers = {
        **{name: partial(edgesdk, settings, sequence.fps) for name, settings in ours.items()},
        **peers(sequence.fps),
    }
    sys.stderr.write(f"{sequence.name}\n")
    return {name: scored(sequence, make()) for name, make in makers.items()}


def sensitivity(sequences: dict[str, list[Sequence]]) -> dict[str, Any]:
    """Means of HOTA, IDF1 and switches by group of sequences, one setting changed at a time."""
    trials = {"as it comes": TrackerSettings()}
    trials |= {f"{name} = {v:g}": changed(name, v) for name, vs in MOVED.items() for v in vs}
    return {
        trial: {group: _mean(each, settings) for group, each in sequences.items()}
        for trial, settings in trials.items()
    }


def _mean(sequences: list[Sequence], settings: TrackerSettings) -> dict[str, float]:
    rows = [scored(each, edgesdk(settings, each.fps)) for each in sequences]
    return {
        key: round(sum(row[key] for row in rows) / len(rows), 1)
        for key in ("HOTA", "IDF1", "switches")
    }


def main(recorded: Path) -> dict[str, Any]:
    """All trackers, then our settings."""
    assets = assets_folder()
    assert assets, "needs the assets: set EDGESDK_ASSETS"
    seen = {
        (name, threshold): pets(assets, name, recorded / f"{name}.npz", threshold)
        for name, thresholds in THRESHOLDS.items()
        for threshold in thresholds
    }
    middle = [seen["yolox-nano", 0.25], seen["nanodet-m", 0.4]]
    sequences = [*seen.values(), *(each.reversed() for each in middle)]
    groups = {
        "yolox-nano": [middle[0], middle[0].reversed()],
        "nanodet-m": [middle[1]],
        "true boxes, 30 % lost": [thinned(assets, 0.3, 1)],
        "sim://traffic": [traffic(2, 12)],
    }
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "above HOTA 51.5 and IDF1 67.1, fewer than 19 switches (PETS09-S2L1, YOLOX-nano)",
        "versions": versions("trackers", "norfair", "trackeval", "numpy"),
        "sequences": {each.name: compared(each) for each in sequences},
        "sensitivity": sensitivity(groups),
    }


if __name__ == "__main__":
    as_object(partial(main, Path(sys.argv[1])))
