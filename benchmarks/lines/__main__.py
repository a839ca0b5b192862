"""Counted against the truth one by one: many lines, detectors, harms and rates; ours and peers.

scripts/bench lines                                 ours, our settings moved, Roboflow's
scripts/bench lines --ultralytics PYTHON            Ultralytics' too; that Python has it
scripts/bench lines --ours                          ours alone; the peers' rows of the report stay
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.lines.cases import Case
from benchmarks.lines.counters import VARIANTS, edgesdk
from benchmarks.lines.recorded import RECORDINGS, record
from benchmarks.lines.scores import scored, summed
from benchmarks.lines.table import cases
from benchmarks.quantization.process import run
from benchmarks.tracking.environment import ROOT, peers_python
from edgesdk._files import write_atomic
from edgesdk._resources import assets_folder
from edgesdk.report import read_machine

PATH = ROOT / "benchmarks" / "reports" / "lines.json"
RECORDED = ROOT / ".cache" / "lines"
LIMIT_S = 3600.0
PART = 3
"""Settings are moved on every third case: there are many of them."""


@click.command()
@click.option("--ultralytics", type=Path, help="A Python that has Ultralytics and shapely.")
@click.option("--ours", is_flag=True, help="Count with edgesdk alone.")
def main(ultralytics: Path | None, ours: bool) -> None:
    """Record what is not recorded yet, count, and write the report."""
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    for recording in RECORDINGS:
        path = RECORDED / f"{recording.name}.npz"
        if not path.is_file():
            click.echo(f"recording: {recording.name} ...", err=True)
            record(recording, assets, path)
    table = cases(assets, RECORDED)
    old = json.loads(PATH.read_text()) if ours else {}
    rows: dict[str, Any] = {**old.get("cases", {}), "edgesdk": scored(table, edgesdk)}
    versions: dict[str, str] = old.get("versions", {})
    others = [] if ours else [(peers_python(), "roboflow")]
    others += [(ultralytics, "ultralytics_counter")] if ultralytics else []
    for python, module in others:
        answer = run([python, "-m", f"benchmarks.lines.{module}", RECORDED], LIMIT_S).answer
        rows |= answer["rows"]
        versions |= answer["versions"]
    report = {
        "what": (__doc__ or "").splitlines()[0],
        "command": "scripts/bench lines [--ultralytics PYTHON]",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "peers_date": old.get("peers_date", old.get("date", "the same")),
        "machine": asdict(read_machine(Path("/"))),
        "versions": versions,
        "true_missed_extra": {name: _sums(each) for name, each in rows.items()},
        "settings": _moved(table[::PART]),
        "cases": rows,
    }
    write_atomic(PATH, json.dumps(report, indent=1) + "\n")


def _sums(rows: dict[str, Any]) -> dict[str, Any]:
    return {group: summed(each) for group, each in rows.items()}


def _moved(table: Sequence[Case]) -> dict[str, Any]:
    """Sums by group, one setting changed at a time."""
    return {
        name: _sums(scored(table, partial(edgesdk, tracking=tracking, counting=counting)))
        for name, (tracking, counting) in VARIANTS.items()
    }


if __name__ == "__main__":
    main()
