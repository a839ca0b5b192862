"""Crossings of PETS09-S2L1 counted from YOLOX-nano's boxes, matched to the truth one by one.

Over 17 lines in all directions, for the settings of counting around their defaults: so nobody has
to believe one line, or one number. Needs the assets (EDGESDK_ASSETS).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

import click
import numpy as np

from benchmarks.crossings import Passed, match, true_passages
from edgesdk._resources import assets_folder
from edgesdk.backends import load_backend
from edgesdk.backends.base import Session
from edgesdk.detections import Detections
from edgesdk.model import read_model
from edgesdk.pipeline import open_source
from edgesdk.report import read_machine
from edgesdk.vision.anchor import Anchor
from edgesdk.vision.counting import CountingSettings, Line, LineCounter
from edgesdk.vision.decoders import Decoder, make_decoder
from edgesdk.vision.detector import Detector
from edgesdk.vision.tracker import Confirmed, Tracker
from edgesdk.zoo import load_entry

REPORT = Path(__file__).parent / "reports" / "pedestrians.json"
FPS, WIDTH, HEIGHT, SCORE = 10.0, 768.0, 576.0, 0.3
Ends = tuple[tuple[float, float], tuple[float, float]]
Tracked = list[tuple[Detections, Sequence[Confirmed]]]
LEVEL = (180, 200, 220, 240, 260, 280, 300, 340, 380, 420)
UPRIGHT = (250, 300, 384, 480, 550)
LINES: tuple[Ends, ...] = (
    *(((0.0, float(y)), (WIDTH, float(y))) for y in LEVEL),
    *(((float(x), HEIGHT), (float(x), 0.0)) for x in UPRIGHT),
    ((100, HEIGHT), (600, 100)),
    ((600, HEIGHT), (100, 100)),
)
DEFAULT = CountingSettings()
VARIANTS: Mapping[str, CountingSettings] = {
    "default": DEFAULT,
    **{f"settle_sightings={n}": replace(DEFAULT, settle_sightings=n) for n in (1, 3, 5)},
    **{f"band_sizes={b}": replace(DEFAULT, band_sizes=b) for b in (0.05, 0.2)},
    **{f"handover_sizes={h}": replace(DEFAULT, handover_sizes=h) for h in (0.0, 0.5, 1.0)},
    **{f"handover_s={s}": replace(DEFAULT, handover_s=s) for s in (1.5, 9.0)},
}


def people(assets: Path) -> list[Detections]:
    """What YOLOX-nano sees in vtest.avi."""
    entry = load_entry("yolox-nano")
    preprocess = entry.spec.preprocess
    decoder: Decoder = make_decoder(
        {**entry.spec.decoder, "score_threshold": SCORE}, "here", preprocess
    )
    assert decoder.task == "detect"
    backend = load_backend("onnxruntime")
    model = read_model(assets / "models" / "yolox_nano_416.onnx")
    session: Session = backend.open(backend.compile(model))
    detector = Detector(preprocess, session, model.inputs[0].name, decoder)
    source = open_source(str(assets / "video" / "vtest.avi"))
    found = [detector(frame.image) for frame in source]
    session.close()
    return [boxes[boxes.class_id == 0] for boxes in found]


def truth(assets: Path) -> list[Detections]:
    """The true boxes and identities, by frame."""
    table = np.loadtxt(assets / "mot" / "PETS09-S2L1" / "gt.txt", delimiter=",")
    frames = []
    for frame in range(1, 796):
        rows = table[table[:, 0] == frame]
        corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
        zeros, ones = np.zeros(len(rows), np.int64), np.ones(len(rows), np.float32)
        ids = rows[:, 1].astype(np.int64)
        frames.append(Detections(corners.astype(np.float32), ones, zeros, ids))
    return frames


def tracked(found: Sequence[Detections]) -> Tracked:
    """With our tracker's identities."""
    tracker = Tracker(fps=FPS)
    return [(tracker.update(boxes, i), tracker.confirmed_now) for i, boxes in enumerate(found)]


def errors(
    true: Sequence[Detections], given: Tracked, settings: CountingSettings, anchor: Anchor
) -> dict[str, int]:
    """True crossings of all lines, and what of them was missed and what came on top."""
    total = {"true": 0, "missed": 0, "extra": 0}
    for ends in LINES:
        counter = LineCounter(Line(*ends, "on", "back", anchor=anchor), settings=settings, fps=FPS)
        crossings = [c for i, (d, new) in enumerate(given) for c in counter.update(d, i, new)]
        told = [
            Passed(c.frame_index, c.direction == "on", c.x_px, c.y_px)
            for c in (*crossings, *counter.finish())
        ]
        passed = true_passages(true, ends, 5, anchor == "foot")
        result = match(passed, told, frames=20, distance_px=60)
        total["true"] += len(passed)
        total["missed"] += len(result.missed)
        total["extra"] += len(result.extra)
    return total


@click.command()
def main() -> None:
    """Write the report."""
    assets = assets_folder()
    if assets is None:
        raise click.UsageError("needs the assets: set EDGESDK_ASSETS")
    true, given = truth(assets), tracked(people(assets))
    anchors: tuple[Anchor, ...] = ("center", "foot")
    rows: dict[str, dict[str, dict[str, int]]] = {}
    for name, settings in VARIANTS.items():
        rows[name] = {anchor: errors(true, given, settings, anchor) for anchor in anchors}
        click.echo(f"{name}: {rows[name]}", err=True)
    report = {
        "what": __doc__,
        "command": "scripts/bench pedestrians",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
        "score": SCORE,
        "lines": LINES,
        "errors": rows,
    }
    REPORT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
