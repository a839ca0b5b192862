"""Counted against true crossings, float against INT8: simulated scenes and the real clip."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import click

from edgesdk._progress import silent
from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import App, RunRequest, load_app, prepare_run
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Precision
from edgesdk.report import read_machine
from edgesdk.sim import LABELS, TrafficScene, parse_uri

REPORTS = Path(__file__).parent / "reports"
LIGHTS = ("day", "dusk", "night", "varying")
SEEDS = (901, 902, 903)
"""Training takes none below 1000."""
FRAMES = 480


def counted(app: App, request: RunRequest) -> Counter[tuple[str, str]]:
    with prepare_run(app, request) as run:
        counts = run.pipeline.run().counts
    return Counter({(k, d): n for k, row in counts.items() for d, n in row.items()})


def truth(uri: str) -> Counter[tuple[str, str]]:
    scene = TrafficScene(parse_uri(uri))
    return Counter((LABELS[c.class_id], c.direction) for c in scene.crossings())


def by_direction(counts: Counter[tuple[str, str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for (_, direction), count in counts.items():
        total[direction] += count
    return total


def wrong(found: Counter[str] | Counter[tuple[str, str]], true: Counter) -> int:  # type: ignore[type-arg]
    return sum(abs(found[key] - true[key]) for key in {*found, *true})


def built(model: str, precision: Precision, data: str, folder: Path) -> Path:
    out = folder / f"{Path(model).name}-{precision}.edge"
    order = BuildOrder(device="orin", model=model, precision=precision, data=data, out=out)
    request, path = resolve(order)
    return build(request, path, silent).path


def simulated(app: App, folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    bundles = {p: built(str(app.folder), p, "", folder) for p in ("fp32", "int8")}
    for light in LIGHTS:
        for seed in SEEDS:
            uri = f"sim://traffic?seed={seed}&frames={FRAMES}&light={light}"
            true = truth(uri)
            row: dict[str, object] = {"scene": uri, "true_crossings": true.total()}
            for precision, path in bundles.items():
                found = counted(app, RunRequest(uri, path))
                row[precision] = {
                    "wrong_by_direction": wrong(by_direction(found), by_direction(true)),
                    "wrong_by_class_and_direction": wrong(found, true),
                }
            rows.append(row)
            click.echo(row, err=True)
    return rows


def real(app: App, folder: Path) -> list[dict[str, object]]:
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    data = f"{assets}/data/coco192.tar#train2017"
    chosen = app.with_settings({"line": [0.0, 220.0, 640.0, 220.0]})
    rows: list[dict[str, object]] = []
    for precision in ("fp32", "int8"):
        path = built("yolox-nano", precision, data, folder)
        found = counted(chosen, RunRequest(f"{assets}/video/road_8_vehicles.mp4", path))
        rows.append(
            {
                "scene": "road_8_vehicles.mp4, line y=220, YOLOX-nano",
                "precision": precision,
                "counted": dict(by_direction(found)),
                "true": {"down": 8, "up": 0},
            }
        )
        click.echo(rows[-1], err=True)
    return rows


@click.command()
def main() -> None:
    app = load_app(data_folder("apps") / "traffic_counting")
    with tempfile.TemporaryDirectory() as name:
        rows = [*simulated(app, Path(name)), *real(app, Path(name))]
    report = {
        "what": __doc__,
        "command": "scripts/bench counting",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": asdict(read_machine(Path("/"))),
        "rows": rows,
    }
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "counting.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
