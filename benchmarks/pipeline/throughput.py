"""End to end on a video file against the same session fed pre-made tensors back to back.

YOLOX-nano 416x416, the traffic app with tracker and counting, no files written. "cpu": ONNX Runtime
with all cores, which it has to share with the rest of the pipeline. "elsewhere": a session that
waits and gives a recorded answer, like one whose accelerator works; it leaves the cores alone, so
it shows what the pipeline itself costs. Rounds of both take turns, so that a machine that changes
its speed changes it for both; a ratio is of two neighbouring rounds. On a machine with other work
"cpu" says little: a process of more threads gets more of it (see load_average_before).
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

import click

from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import RunModel, Scene, load_app
from edgesdk.apps.run import make_detector
from edgesdk.backends import load_backend
from edgesdk.model import read_model
from edgesdk.pipeline import Pipeline, RunSummary, detect_stages, open_source
from edgesdk.report import read_machine
from edgesdk.tensors import Array, Floats
from edgesdk.vision.detector import Detector
from edgesdk.zoo import load_entry

CLIP = "road_8_vehicles.mp4"
ROUNDS, FRAMES = 12, 150
WARM_UP = 20
GOAL = 0.97
ELSEWHERE_S = 0.014
"""YOLOX-nano's time on two idle cores."""
REPORT = Path(__file__).parents[1] / "reports" / "pipeline_throughput.json"


def pipeline_round(detector: Detector, labels: tuple[str, ...], clip: Path) -> RunSummary:
    """The whole way."""
    app = load_app(data_folder("apps") / "traffic_counting")
    source = open_source(str(clip))
    scene = Scene(labels, *source.size, source.fps)
    program = app.program(app.settings, scene)
    stages = (*detect_stages(detector), *program.stages())
    return Pipeline(source, stages).run(max_frames=FRAMES)


def session_round(detector: Detector, tensors: list[Floats]) -> float:
    """Frames per second of nothing but `run`."""
    start = time.perf_counter()
    for tensor in islice(cycle(tensors), FRAMES):
        detector.infer(tensor)
    return FRAMES / (time.perf_counter() - start)


def detector_of(assets: Path) -> tuple[Detector, tuple[str, ...]]:
    """YOLOX-nano in ONNX Runtime, and its labels."""
    spec = load_entry("yolox-nano").spec
    path = assets / "models" / "yolox_nano_416.onnx"
    model = read_model(path)
    chosen = RunModel(model, spec, "float model", model.digest, "fp32", str(path))
    backend = load_backend("onnxruntime")
    return make_detector(chosen, backend.open(backend.compile(model))), spec.labels


class Elsewhere:
    """A session whose work is done by another processor: it waits, and answers as recorded."""

    gives_outputs: Literal[True] = True

    def __init__(self, answers: dict[str, Array]) -> None:
        self._answers = answers

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        time.sleep(ELSEWHERE_S)
        return self._answers


def measure(
    detector: Detector, labels: tuple[str, ...], clip: Path, rounds: int
) -> dict[str, object]:
    """Pairs of rounds, in turns, and their ratios."""
    tensors = [detector.prepare(f.image)[0] for f in islice(open_source(str(clip)), 32)]
    for tensor in tensors[:WARM_UP]:
        detector.infer(tensor)
    pairs = []
    threads: dict[str, list[float]] = {}
    for number in range(rounds):
        if number % 2:
            summary = pipeline_round(detector, labels, clip)
            alone = session_round(detector, tensors)
        else:
            alone = session_round(detector, tensors)
            summary = pipeline_round(detector, labels, clip)
        pair = {"session_fps": alone, "pipeline_fps": summary.fps, "ratio": summary.fps / alone}
        pairs.append({key: round(value, 4) for key, value in pair.items()})
        for thread in summary.threads:
            threads.setdefault(thread.name, []).append(thread.busy)
        click.echo(pairs[-1], err=True)
    ratios = [pair["ratio"] for pair in pairs]
    return {
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(q, 4) for q in statistics.quantiles(ratios, n=4)],
        "busy_median": {name: round(statistics.median(all_), 4) for name, all_ in threads.items()},
        "rounds": pairs,
    }


def main(rounds: int = ROUNDS) -> dict[str, object]:
    """Measure and return the report."""
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    clip = assets / "video" / CLIP
    load_before = os.getloadavg()[0]
    detector, labels = detector_of(assets)
    first = next(iter(open_source(str(clip))))
    recorded = detector.infer(detector.prepare(first.image)[0])
    elsewhere = replace(detector, runner=Elsewhere(recorded))
    return {
        "what": __doc__,
        "command": "python -m benchmarks.pipeline throughput",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
        "load_average_before": round(load_before, 2),
        "clip": CLIP,
        "frames_a_round": FRAMES,
        "goal": GOAL,
        "cpu": measure(detector, labels, clip, rounds),
        "elsewhere": measure(elsewhere, labels, clip, rounds),
        "elsewhere_ms": ELSEWHERE_S * 1e3,
    }


if __name__ == "__main__":
    REPORT.write_text(json.dumps(main(), indent=1) + "\n")
