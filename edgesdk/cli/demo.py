"""`edgesdk demo`: what scripts/demo runs."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from edgesdk._config import plain
from edgesdk._progress import silent
from edgesdk.cli._console import console as make_console
from edgesdk.cli._progress import shown
from edgesdk.cli._run_view import Bar
from edgesdk.demo import Demo, DemoResult, nobody, totals
from edgesdk.errors import TargetMissed
from edgesdk.pipeline import Sink


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def command(out: Path, as_json: bool, quiet: bool) -> None:
    """Build the small vehicle detector for Orin at INT8, count simulated traffic with it, compare
    with the exact truth and with the float model, and measure its latency on this machine.

    Where the assets are at hand, YOLOX-nano counts a real road as well. Exit code 3: a count
    differs from the truth.
    """
    demo = Demo(out, silent, nobody) if quiet else Demo(out, shown, watching)
    try:
        result = demo.run()
    except KeyboardInterrupt:
        demo.clear()
        click.echo(f"stopped; only finished bundles are left in {out}", err=True)
        sys.exit(128 + signal.SIGINT)
    if as_json:
        click.echo(json.dumps(as_object(result), indent=2, allow_nan=False))
    else:
        show(result)
    wrong = [run.title for run in result.runs if not run.is_right]
    if wrong:
        raise TargetMissed(
            f"counted and true crossings differ: {', '.join(wrong)}",
            f"look at the annotated clip: {result.files['clip']}",
        )


def watching(title: str, frames: int | None) -> Sequence[Sink]:
    """A bar on stderr."""
    click.echo(f"count: {title}", err=True)
    bar = Bar()
    bar.begin(frames)
    return (bar,)


def as_object(result: DemoResult) -> dict[str, Any]:
    """The outcome for machines."""
    manifest = result.bundle.manifest
    return {
        "bundle": {"path": str(result.bundle.path), "digest": result.bundle.digest},
        "accuracy": plain(manifest.accuracy),
        "runs": [{**plain(run), "is_right": run.is_right} for run in result.runs],
        "latency_ms": plain(result.latency.total),
        "measured_on": result.latency.provenance.statement,
        "files": {name: str(path) for name, path in result.files.items()},
    }


def show(result: DemoResult) -> None:
    """The outcome for people."""
    console = make_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("crossings", "down", "up", "true down", "true up", ""):
        table.add_column(name, justify="left" if name in ("crossings", "") else "right")
    for run in result.runs:
        counted, true = totals(run.counts), totals(run.truth)
        verdict = Text("right", "green") if run.is_right else Text("differs", "red")
        numbers = (counted["down"], counted["up"], true["down"], true["up"])
        table.add_row(run.title, *map(str, numbers), verdict)
    console.print(table)
    accuracy = result.bundle.manifest.accuracy
    for metric in accuracy.metrics if accuracy else ():
        console.print(
            f"{metric.name} on held-out simulated pictures: float {metric.float_model:.3f}, "
            f"INT8 {metric.bundle:.3f}",
            highlight=False,
        )
    median = result.latency.total.median
    console.print(f"latency: median {median.ms:.1f} ms a picture", highlight=False)
    console.print(f"  {result.latency.provenance.statement}", highlight=False, soft_wrap=True)
    for name, path in result.files.items():
        console.print(f"{name:>10}  {path}", highlight=False, soft_wrap=True)
