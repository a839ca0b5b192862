"""End to end on a video file against the same session fed pre-made tensors back to back.

YOLOX-nano 416x416, the traffic app with tracker and counting, no files written.

"cpu": ONNX Runtime as `edgesdk run` opens it (`share_cores`), against one session that has all
cores and is called back to back. "cpu, equal": against the very same session, called back to back
from as many threads as the pipeline has for it: then the model takes all cores for itself, and what
the pipeline computes besides has to show. "elsewhere": a session that waits and gives a recorded
answer, like one whose accelerator works; it leaves the cores alone, so it shows what the pipeline
itself costs. Rounds of both take turns, so that a machine that changes its speed changes it for
both; a ratio is of two neighbouring rounds. On a machine with other work "cpu" says little: a
process of more threads gets more of it (see load_average_before).
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

import click

from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import RunModel, Scene, load_app
from edgesdk.apps.choosing import make_detector
from edgesdk.apps.cores import share_cores
from edgesdk.backends import load_backend
from edgesdk.model import read_model
from edgesdk.pipeline import Inference, Pipeline, RunSummary, detect_stages, open_source
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


def pipeline_round(
    detector: Detector, labels: tuple[str, ...], clip: Path, parallel: int
) -> RunSummary:
    """The whole way."""
    app = load_app(data_folder("apps") / "traffic_counting")
    source = open_source(str(clip))
    scene = Scene(labels, *source.size, source.fps)
    program = app.program(app.settings, scene)
    inference = Inference(detector, parallel=parallel)
    stages = (*detect_stages(detector, inference), *program.stages())
    return Pipeline(source, stages).run(max_frames=FRAMES)


def session_round(detector: Detector, tensors: list[Floats], callers: int = 1) -> float:
    """Frames per second of nothing but `run`."""

    def call() -> None:
        for tensor in islice(cycle(tensors), FRAMES // callers):
            detector.infer(tensor)

    start = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(call) for _ in range(callers)]:
            done.result()
    return FRAMES // callers * callers / (time.perf_counter() - start)


def detector_of(assets: Path, threads: int = 0) -> tuple[Detector, tuple[str, ...]]:
    """YOLOX-nano in ONNX Runtime, and its labels."""
    spec = load_entry("yolox-nano").spec
    path = assets / "models" / "yolox_nano_416.onnx"
    model = read_model(path)
    chosen = RunModel(model, spec, "float model", model.digest, "fp32", str(path))
    backend = load_backend("onnxruntime", threads)
    return make_detector(chosen, backend.open(backend.compile(model))), spec.labels


class Elsewhere:
    """A session whose work is done by another processor: it waits, and answers as recorded."""

    gives_outputs: Literal[True] = True

    def __init__(self, answers: dict[str, Array]) -> None:
        self._answers = answers

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        time.sleep(ELSEWHERE_S)
        return self._answers


@dataclass(frozen=True)
class Case:
    """What is set against what."""

    piped: Detector
    parallel: int
    """Frames that the pipeline gives it at once."""
    alone: Detector
    callers: int
    """Threads that call it back to back."""


def measure(case: Case, labels: tuple[str, ...], clip: Path, rounds: int) -> dict[str, object]:
    """Pairs of rounds, in turns, and their ratios."""
    tensors = [case.piped.prepare(f.image)[0] for f in islice(open_source(str(clip)), 32)]
    for tensor in tensors[:WARM_UP]:
        case.piped.infer(tensor)
        case.alone.infer(tensor)
    pairs = []
    threads: dict[str, list[float]] = {}
    for number in range(rounds):
        if number % 2:
            summary = pipeline_round(case.piped, labels, clip, case.parallel)
            alone = session_round(case.alone, tensors, case.callers)
        else:
            alone = session_round(case.alone, tensors, case.callers)
            summary = pipeline_round(case.piped, labels, clip, case.parallel)
        pair = {"session_fps": alone, "pipeline_fps": summary.fps, "ratio": summary.fps / alone}
        pairs.append({key: round(value, 4) for key, value in pair.items()})
        for thread in summary.threads:
            threads.setdefault(thread.name, []).append(thread.busy)
        click.echo(pairs[-1], err=True)
    ratios = [pair["ratio"] for pair in pairs]
    return {
        "parallel": case.parallel,
        "callers": case.callers,
        "session_fps_median": round(statistics.median(p["session_fps"] for p in pairs), 2),
        "pipeline_fps_median": round(statistics.median(p["pipeline_fps"] for p in pairs), 2),
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
    shares = share_cores("onnxruntime", batch=1)
    whole, labels = detector_of(assets)
    detector, _ = detector_of(assets, shares.threads)
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
        "threads": shares.threads,
        "cpu": measure(Case(detector, shares.parallel, whole, 1), labels, clip, rounds),
        "cpu, equal": measure(
            Case(detector, shares.parallel, detector, shares.parallel), labels, clip, rounds
        ),
        "elsewhere": measure(Case(elsewhere, 1, elsewhere, 1), labels, clip, rounds),
        "elsewhere_ms": ELSEWHERE_S * 1e3,
    }


if __name__ == "__main__":
    REPORT.write_text(json.dumps(main(), indent=1) + "\n")
