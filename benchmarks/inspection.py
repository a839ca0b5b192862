"""Line inspection against known truth: escapes, false rejects, and verdicts in time.

    scripts/bench inspection [--parts N] [--paced-s S]

Each part of the simulated lines is matched to its verdict one by one, by the place of the picture
that counted, so errors cannot cancel. None of the lines was learned from.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgesdk._progress import silent
from edgesdk.apps import App, RunRequest, load_app, prepare_run
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.inspection import Verdict
from edgesdk.pipeline import Collect, RunSummary
from edgesdk.report import read_machine
from edgesdk.sim import LineScene, LineSettings, parse_simulation

REPORTS = Path(__file__).parent / "reports"
SCENES = ("light=drift", "light=drift&wobble=0.2", "blur=1.0&light=drift", "noise=5")
FIRST_SEED = 901
FPS, RATE, DEFECTS = 50, 1200, 0.2
"""20 parts a second: each is in about four frames before the station and four after it."""
PATIENT = {"judge": {"deadline_ms": 1e9}}
"""For figures of accuracy: drawn as fast as the machine can, no verdict is late."""


def uri(number: int, parts: int, more: str) -> str:
    frames = round(parts / RATE * 60 * FPS)
    return (
        f"sim://line?seed={FIRST_SEED + number}&frames={frames}&fps={FPS}&rate={RATE}"
        f"&defects={DEFECTS}&{more}"
    )


def scene_of(text: str) -> LineScene:
    settings = parse_simulation(text).scene
    assert isinstance(settings, LineSettings)
    return LineScene(settings)


def ran(app: App, request: RunRequest) -> tuple[RunSummary, list[Verdict]]:
    collect = Collect()
    with prepare_run(app, request, [collect]) as run:
        summary = run.pipeline.run()
    return summary, [event for event in collect.events if isinstance(event, Verdict)]


def part_of(scene: LineScene, verdict: Verdict) -> int | None:
    """The true part under the verdict's box; None: there is none."""
    truth = scene.truth(verdict.frame)
    whole = truth[truth.class_id == 0]
    middle = (verdict.left_px + verdict.right_px) / 2
    away = np.abs(whole.centers[:, 0] - middle)
    if len(away) == 0 or away.min() > scene.part_px / 2:
        return None
    return int(whole.track_id[away.argmin()])


def judged(scene: LineScene, verdicts: list[Verdict]) -> dict[str, Any]:
    """Every part with its verdict; by kind of defect how many passed."""
    by_part: dict[int | None, list[Verdict]] = {}
    for verdict in verdicts:
        by_part.setdefault(part_of(scene, verdict), []).append(verdict)
    found: Counter[str] = Counter(no_part=len(by_part.pop(None, [])))
    escapes: Counter[str] = Counter()
    true = {part.part: part for part in scene.parts()}
    for number, part in true.items():
        own = by_part.get(number, [])
        found["parts"] += 1
        found["without_verdict"] += not own
        found["judged_twice"] += len(own) > 1
        passed = not own or any(verdict.outcome == "pass" for verdict in own)
        rejected = any(verdict.outcome == "reject" for verdict in own)
        found["bad" if part.defect else "good"] += 1
        found["false_rejects"] += not part.defect and rejected
        if part.defect and passed:
            escapes[part.defect] += 1
    return {**found, "escapes": escapes.total(), "escapes_by_defect": dict(escapes)}


def accuracy(app: App, bundle: Path, parts: int) -> dict[str, Any]:
    """All scenes together, with the scores that were nearest to the threshold."""
    total: Counter[str] = Counter()
    scenes = []
    for number, more in enumerate(SCENES):
        text = uri(number, parts // len(SCENES), more)
        _, verdicts = ran(app.with_settings(PATIENT), RunRequest(text, bundle, policy="all"))
        row = judged(scene_of(text), verdicts)
        click.echo(row, err=True)
        scenes.append({"scene": text, **row})
        total.update({k: v for k, v in row.items() if isinstance(v, int)})
    rate = total["false_rejects"] / max(total["good"], 1)
    return {**total, "false_reject_rate": round(rate, 5), "scenes": scenes}


def in_time(app: App, bundle: Path, seconds: float) -> dict[str, Any]:
    """One line at its own pace: how late verdicts are, and what a part costs."""
    text = uri(len(SCENES), round(RATE / 60 * seconds), "light=drift")
    scene, start_s = scene_of(text), time.process_time()
    for index in range(0, scene.settings.frames, 5):
        scene.frame(index)
    drawing_s = 5 * (time.process_time() - start_s)
    start_s = time.process_time()
    request = RunRequest(text, bundle, policy="newest", threads=1, parallel=1)
    summary, verdicts = ran(app, request)
    cpu_s = time.process_time() - start_s - drawing_s
    latencies = np.array([verdict.latency_ms for verdict in verdicts])
    return {
        "scene": text,
        "parts_per_second": RATE / 60,
        "deadline_ms": app.settings.judge.deadline_ms,
        "verdicts": len(verdicts),
        "late": sum(verdict.late for verdict in verdicts),
        "latency_ms": {
            "median": round(float(np.median(latencies)), 2),
            "p99": round(float(np.quantile(latencies, 0.99)), 2),
            "max": round(float(latencies.max()), 2),
        },
        "cpu_ms_per_part": round(1e3 * cpu_s / max(len(verdicts), 1), 2),
        "frames_dropped": summary.frames_dropped,
        "frames_processed": summary.frames_processed,
        "truth": judged(scene, verdicts),
        "stages_ms": {stage.name: stage.median_ms for stage in summary.stages},
    }


@click.command()
@click.option("--parts", default=2000, show_default=True, help="Of all scenes together.")
@click.option("--paced-s", default=60.0, show_default=True, help="Length of the run at its pace.")
@click.option("--out", type=click.Path(path_type=Path), default=REPORTS / "inspection.json")
def main(parts: int, paced_s: float, out: Path) -> None:
    """Measure and write the report."""
    app = load_app("line_inspection")
    report: dict[str, Any] = {
        "date_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
    }
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "int8"):
            place = Path(folder) / f"{precision}.edge"
            order = BuildOrder(
                device="orin",
                model=str(app.folder),
                precision=precision,  # type: ignore[arg-type]
                out=place,
            )
            request, path = resolve(order)
            bundle = build(request, path, silent)
            spec = bundle.manifest.spec
            report[precision] = {
                "threshold": spec.decoder["threshold"] if spec else None,
                "accuracy": accuracy(app, bundle.path, parts),
                "in_time": in_time(app, bundle.path, paced_s),
            }
            click.echo(report[precision]["in_time"], err=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    main()
