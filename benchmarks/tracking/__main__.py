"""Trackers on the same detections: edgesdk and its peers.

scripts/bench tracking              both parts
scripts/bench tracking speed        one, merged into the report
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from benchmarks.quantization.process import Failed, run
from benchmarks.tracking.detections import MODELS, record
from benchmarks.tracking.environment import ROOT, peers_python
from edgesdk._resources import assets_folder
from edgesdk.report import read_machine

PATH = ROOT / "benchmarks" / "reports" / "tracking.json"
RECORDED = ROOT / ".cache" / "tracking"
PARTS = ("quality", "speed")
LIMIT_S = 1800.0


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(PARTS), metavar="[PART]...")
def main(names: tuple[str, ...]) -> None:
    """Measure the PARTs, or both, and put them into the report."""
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    for model in MODELS:
        if not (RECORDED / f"{model}.npz").is_file():
            click.echo(f"recording what {model} sees ...", err=True)
            record(assets, model, RECORDED / f"{model}.npz")
    report: dict[str, Any] = json.loads(PATH.read_text()) if PATH.is_file() else {"parts": {}}
    report["what"] = "Trackers on the same detections: edgesdk and its peers."
    for name in names or PARTS:
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        machine = asdict(read_machine(Path("/")))
        kept = {"command": f"scripts/bench tracking {name}", "date": date, "machine": machine}
        report["parts"][name] = {**_measured(name), **kept}
        PATH.write_text(json.dumps(report, indent=1) + "\n")


def _measured(name: str) -> dict[str, Any]:
    command = [peers_python(), "-m", f"benchmarks.tracking.{name}", RECORDED]
    try:
        return run(command, LIMIT_S, {"OPENBLAS_NUM_THREADS": "1"}).answer
    except Failed as error:
        raise click.ClickException(f"{name}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
