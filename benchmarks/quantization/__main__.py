"""What INT8 leaves of a model's accuracy and what it costs: edgesdk and its peers, side by side.

Every graph is scored in the same way: ONNX Runtime on the CPU, graph optimizations off, mAP by
pycocotools. Intervals are 95 %, from paired resamples of the pictures. Peers are onnxruntime's
quantizer, NVIDIA ModelOpt and NNCF, each row in a process of its own.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click

from benchmarks.quantization.cases import CASES, QUICK, WORK, Case
from benchmarks.quantization.environment import peers_python
from benchmarks.quantization.methods import METHODS, OWN, PEERS, by_edgesdk, by_peer
from benchmarks.quantization.process import Failed, run
from benchmarks.quantization.report import PATH, Report
from edgesdk._resources import assets_folder
from edgesdk.report import read_machine

JUDGE = [sys.executable, "-m", "benchmarks.quantization.judge"]
GRID = [(case, method) for case in CASES for method in METHODS]


@click.command()
@click.option("--only", multiple=True, metavar="MODEL/METHOD", help="Patterns, e.g. */edgesdk*.")
@click.option("--quick", is_flag=True, help="The two small models; the report is left alone.")
@click.option("--limit", default=600.0, help="Seconds that a row may take; default 600.")
@click.option("--peers", type=click.Path(path_type=Path), help="Python with the peers installed.")
def main(only: tuple[str, ...], quick: bool, limit: float, peers: Path | None) -> None:
    """Measure and merge the rows into the report; without options all of them."""
    if assets_folder() is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    wanted = [
        (case, method)
        for case, method in GRID
        if not only or any(fnmatch(f"{case}/{method}", pattern) for pattern in only)
        if not quick or case in QUICK
    ]
    form = CASES["yolov8-form"].source()
    needs_peers = any(method in PEERS for _, method in wanted)
    needs_form = any(case == "yolov8-form" for case, _ in wanted) and not form.is_file()
    python = peers or (peers_python() if needs_peers or needs_form else Path(sys.executable))
    if needs_form:
        form.parent.mkdir(parents=True, exist_ok=True)
        _export(python, form)
    path = WORK / "quick.json" if quick else PATH
    report = Report.read(path, " ".join((__doc__ or "").split()), GRID)
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    said = " ".join(["scripts/bench quantization", *(f"--only '{pattern}'" for pattern in only)])
    report.runs[date] = {"command": said, "machine": asdict(read_machine(Path("/")))}
    began = time.monotonic()
    for name in dict.fromkeys(case for case, _ in wanted):
        broken = _prepare(name, limit)
        for method in (m for case, m in wanted if case == name):
            row = broken or _row(CASES[name], method, python, limit, 200 if quick else 1000)
            report.add({"model": name, "method": method, "run": date, **row})
            report.write(path)  # after each row: a run that is stopped has not been for nothing
            click.echo(
                f"{time.monotonic() - began:6.0f} s  {name}  {method}: {_short(row)}", err=True
            )


def _export(python: Path, path: Path) -> None:
    """The YOLOv8-style model, by torch."""
    try:
        run([python, "-m", "benchmarks.quantization.yolov8", path], 600)
    except Failed as error:
        raise click.ClickException(f"the YOLOv8-style model: {error}") from error


def _prepare(name: str, limit: float) -> dict[str, Any]:
    """Empty, or the row of a case that cannot be measured at all."""
    try:
        run([*JUDGE, "prepare", name], limit)
    except Failed as error:
        return {"failed": f"the float model: {error}"}
    return {}


def _row(case: Case, method: str, python: Path, limit: float, draws: int) -> dict[str, Any]:
    """All figures of one row, or why there are none."""
    began = time.monotonic()
    row: dict[str, Any] = {}
    try:
        made = (
            by_edgesdk(case, method, limit)
            if method in OWN
            else by_peer(case, method, python, limit)
        )
        row |= {"cost": made.cost, "versions": made.versions}
        row |= {"said": made.said} if made.said else {}
        row |= run([*JUDGE, "score", case.name, made.path, str(draws)], limit).answer
        row |= run([*JUDGE, "tensorrt", made.path], limit).answer
    except Failed as error:
        row["failed"] = str(error)
    return row | {"row_seconds": round(time.monotonic() - began, 1)}


def _short(row: dict[str, Any]) -> str:
    if "failed" in row:
        return str(row["failed"])
    metrics = {n: v["int8"] if isinstance(v, dict) else v for n, v in row["metrics"]["all"].items()}
    return f"{metrics}, ratio {row['cost']['ratio']}, {row['tensorrt']['verdict']}"


if __name__ == "__main__":
    main()
