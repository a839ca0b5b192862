"""What `edgesdk run` shows: a bar while it runs, tables or one object at the end."""

from __future__ import annotations

from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from edgesdk import _config
from edgesdk.apps import App, PreparedRun
from edgesdk.cli._console import console as make_console
from edgesdk.pipeline import Packet, RunSummary


class Bar:
    """A sink that shows on stderr how far the run is; on no terminal it is silent."""

    name = "progress"

    def __init__(self) -> None:
        console = make_console(stderr=True)
        self._events = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[events]} events"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("frames", total=None, events=0)

    def begin(self, count: int | None, limit: int | None) -> None:
        """Show it; `count` is what the source promises."""
        known = [n for n in (count, limit) if n is not None]
        self._progress.update(self._task, total=min(known, default=None))
        self._progress.start()

    def accept(self, packet: Packet) -> None:
        """One frame further."""
        self._events += len(packet.events)
        self._progress.update(self._task, advance=1, events=self._events)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()


def announce(app: App, run: PreparedRun) -> None:
    """Say on stderr what is about to run with what."""
    model = run.model
    click.echo(f"{app.title}\n  source: {run.source.name}", err=True)
    click.echo(f"  model:  {model.where} ({model.kind}, {model.precision})", err=True)
    if model.kind == "float model":
        click.echo(
            f"  no bundle was built yet, so the float model runs; build one: "
            f"edgesdk build {app.folder} --device orin",
            err=True,
        )
    for warning in run.warnings:
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(warning, err=True)


def as_object(app: App, run: PreparedRun, backend: str, summary: RunSummary) -> dict[str, Any]:
    """The summary and where it comes from, fit for JSON."""
    plain: dict[str, Any] = _config.plain(summary)
    model = run.model
    return {
        "app": app.name,
        "model": {
            "path": model.where,
            "kind": model.kind,
            "precision": model.precision,
            "digest": model.digest,
        },
        "backend": backend,
        "policy": run.pipeline.policy,
        **plain,
        "totals": totals(run, summary),
        "events_file": str(run.events) if run.events else None,
        "video_file": str(run.video) if run.video else None,
    }


def totals(run: PreparedRun, summary: RunSummary) -> dict[str, int]:
    """Counts by column over all rows; the app's columns are there even when they are 0."""
    sums = dict.fromkeys(run.program.columns, 0)
    for row in summary.counts.values():
        for column, count in row.items():
            sums[column] = sums.get(column, 0) + count
    return sums


def show(run: PreparedRun, summary: RunSummary) -> None:
    """Tables of counts and of times on stdout."""
    console = make_console()
    console.print(_counts(run, summary))
    console.print(_times(summary))
    dropped = f", {summary.frames_dropped} dropped" if summary.frames_dropped else ""
    console.print(
        f"{summary.frames_processed} of {summary.frames_read} frames{dropped}"
        f" in {summary.seconds:.1f} s: {summary.fps:.1f} fps on this machine ({summary.ended})",
        highlight=False,
    )
    for path in (run.events, run.video):
        if path is not None and summary.frames_processed:
            console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _counts(run: PreparedRun, summary: RunSummary) -> Table:
    sums = totals(run, summary)
    table = Table(title="Counts", title_justify="left", show_footer=True)
    table.add_column("", footer="total")
    for name, total in sums.items():
        table.add_column(name, footer=str(total), justify="right")
    for label, row in summary.counts.items():
        table.add_row(label, *(str(row.get(name, 0)) for name in sums))
    return table


def _times(summary: RunSummary) -> Table:
    table = Table(title="Milliseconds for each frame", title_justify="left")
    for heading in ("stage", "median", "p95", "max"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in summary.stages:
        if stage.name == "total":
            table.add_section()
        figures = (stage.median_ms, stage.p95_ms, stage.max_ms)
        table.add_row(stage.name, *(f"{ms:.2f}" for ms in figures))
    return table
