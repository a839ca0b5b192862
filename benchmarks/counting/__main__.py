"""Counted against true crossings, float against INT8: simulated scenes and the real clip.

scripts/bench counting                        everything, 50 scenes
scripts/bench counting --scenes 901-905       these scenes, merged into the report
scripts/bench counting --scenes none          the real clip alone
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from benchmarks.counting.road import road
from benchmarks.counting.runs import built
from benchmarks.counting.scenes import SEEDS, scene
from edgesdk._files import write_atomic
from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import load_app
from edgesdk.bundle import open_bundle
from edgesdk.report import read_machine

REPORT = Path(__file__).parent.parent / "reports" / "counting.json"
PRECISIONS = ("fp32", "int8")
APP = data_folder("apps") / "traffic_counting"


@click.command()
@click.option("--scenes", default=f"{SEEDS[0]}-{SEEDS[-1]}", help="A-B, or none.")
@click.option("--processes", default=os.cpu_count() or 1, help="Scenes at once.")
@click.option("--report", "path", default=REPORT, type=Path, help="The file to write.")
def main(scenes: str, processes: int, path: Path) -> None:
    """Run the scenes and the clip; rows of earlier runs of the same bundles stay."""
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundles = {p: built(str(APP), p, "", folder) for p in PRECISIONS}
        report = _report(path, bundles)
        report["road"] = road(load_app(APP), assets, folder)
        _write(path, report)
        with ProcessPoolExecutor(processes) as pool:
            tasks = [pool.submit(scene, seed, bundles) for seed in _seeds(scenes)]
            for task in as_completed(tasks):
                _add(report["scenes"], task.result())
                _write(path, report)


def _seeds(text: str) -> Iterable[int]:
    if text == "none":
        return ()
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _report(path: Path, bundles: dict[str, Path]) -> dict[str, Any]:
    """A new one; with the scenes of the report that is there if they are of the same graphs."""
    graphs = {p: open_bundle(bundle).graph_digest for p, bundle in bundles.items()}
    old = json.loads(path.read_text()) if path.is_file() else {}
    return {
        "what": (__doc__ or "").splitlines()[0],
        "command": "scripts/bench counting",
        "machine": asdict(read_machine(Path("/"))),
        "graphs": graphs,
        "scenes": old["scenes"] if old.get("graphs") == graphs else [],
    }


def _add(rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    rows[:] = sorted([r for r in rows if r["seed"] != row["seed"]] + [row], key=lambda r: r["seed"])
    click.echo(f"{row['scene']}: {[row[p] for p in PRECISIONS]}", err=True)


def summary(rows: list[dict[str, Any]], precision: str) -> dict[str, Any]:
    """Over all scenes: missed and extra never make up for each other."""
    wrong = [len(row[precision]["missed"]) + len(row[precision]["extra"]) for row in rows]
    true = sum(row["true_crossings"] for row in rows)
    return {
        "scenes": len(rows),
        "true_crossings": true,
        "wrong": sum(wrong),
        "wrong_share": round(sum(wrong) / max(true, 1), 5),
        "scenes_without_error": sum(w == 0 for w in wrong),
        "misnamed": sum(row[precision]["misnamed"] for row in rows),
    }


def _write(path: Path, report: dict[str, Any]) -> None:
    report["summary"] = {p: summary(report["scenes"], p) for p in PRECISIONS}
    report["date"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_atomic(path, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
