"""End to end on a video file against the same session fed pre-made tensors back to back.

YOLOX-nano 416x416 on the CPU with all cores, the traffic app with tracker and counting, no files
written. Rounds of both take turns, so that a machine that changes its speed changes it for both;
the ratio is the median over the pairs of neighbouring rounds.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path

import click
import numpy as np

from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import load_app
from edgesdk.apps.program import Scene
from edgesdk.apps.run import RunModel, make_detector
from edgesdk.backends import load_backend
from edgesdk.model import read_model
from edgesdk.pipeline import Pipeline, RunSummary, detect_stages, open_source
from edgesdk.report import read_machine
from edgesdk.vision.detector import Detector
from edgesdk.zoo import load_entry

CLIP = "road_8_vehicles.mp4"
ROUNDS, FRAMES = 24, 150
WARM_UP = 20
GOAL = 0.97


def pipeline_round(detector: Detector, labels: tuple[str, ...], clip: Path) -> RunSummary:
    app = load_app(data_folder("apps") / "traffic_counting")
    source = open_source(str(clip))
    scene = Scene(labels, *source.size, source.fps)
    program = app.program(app.settings, scene)
    stages = (*detect_stages(detector), *program.stages())
    return Pipeline(source, stages).run(max_frames=FRAMES)


def session_round(detector: Detector, tensors: list[np.ndarray]) -> float:
    """Frames per second of nothing but `run`."""
    start = time.perf_counter()
    for tensor in islice(cycle(tensors), FRAMES):
        detector.infer(tensor)
    return FRAMES / (time.perf_counter() - start)


def detector_of(assets: Path) -> tuple[Detector, tuple[str, ...], RunModel]:
    spec = load_entry("yolox-nano").spec
    path = assets / "models" / "yolox_nano_416.onnx"
    model = read_model(path)
    chosen = RunModel(model, spec, "float model", model.digest, "fp32", str(path))
    backend = load_backend("onnxruntime")
    return make_detector(chosen, backend.open(backend.compile(model))), spec.labels, chosen


def measure(assets: Path, rounds: int) -> tuple[list[dict[str, float]], RunSummary]:
    detector, labels, _ = detector_of(assets)
    clip = assets / "video" / CLIP
    frames = islice(open_source(str(clip)), 32)
    tensors = [detector.prepare(frame.image)[0] for frame in frames]
    for tensor in tensors[:WARM_UP]:
        detector.infer(tensor)
    pairs = []
    for number in range(rounds):
        if number % 2:
            summary = pipeline_round(detector, labels, clip)
            alone = session_round(detector, tensors)
        else:
            alone = session_round(detector, tensors)
            summary = pipeline_round(detector, labels, clip)
        pairs.append({"session_fps": alone, "pipeline_fps": summary.fps})
        pairs[-1]["ratio"] = summary.fps / alone
        click.echo(pairs[-1], err=True)
    return pairs, summary


def main(rounds: int = ROUNDS) -> dict[str, object]:
    """Measure and return the report."""
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    pairs, last = measure(assets, rounds)
    ratios = sorted(pair["ratio"] for pair in pairs)
    return {
        "what": __doc__,
        "command": "python -m benchmarks.pipeline throughput",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
        "clip": CLIP,
        "frames_a_round": FRAMES,
        "goal": GOAL,
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(q, 4) for q in statistics.quantiles(ratios, n=4)],
        "threads_of_last_round": {t.name: t.busy for t in last.threads},
        "rounds": [{key: round(value, 3) for key, value in pair.items()} for pair in pairs],
    }
