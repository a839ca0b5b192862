"""What `edgesdk run` shows: a bar while it runs, tables or one object at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgesdk import _config
from edgesdk.apps import App, PreparedRun, RunModel
from edgesdk.apps.program import Writes
from edgesdk.cli._console import console as make_console
from edgesdk.cli._run_tables import (
    counts_table,
    state,
    stream_counts_table,
    streams_table,
    threads_table,
    times_table,
)
from edgesdk.pipeline import Packet, RunSummary
from edgesdk.signals.counted import CountedTrigger
from edgesdk.sinks import Measured

MOMENTARY = frozenset(("connected", "connections", "safe_state"))
"""Figures of sinks that mean something only while a run goes on."""


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

    def begin(self, total: int | None) -> None:
        """Show it; `total` frames are expected, None: nobody knows."""
        self._progress.update(self._task, total=total)
        self._progress.start()

    def accept(self, packet: Packet) -> None:
        """One frame further."""
        self._events += len(packet.events)
        self._progress.update(self._task, advance=1, events=self._events)

    def tell(self, packet: Packet) -> None:
        """Events without a frame of their own."""
        self._events += len(packet.events)
        self._progress.update(self._task, events=self._events)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()


def expected(run: PreparedRun, limit: int | None) -> int | None:
    """Frames that the sources promise, at most `limit` of each; None when one does not know."""
    total = 0
    for stream in run.streams:
        known = [n for n in (stream.source.count, limit) if n is not None]
        if not known:
            return None
        total += min(known)
    return total


def announce(app: App, run: PreparedRun) -> None:
    """Say on stderr what is about to run with what."""
    model = run.model
    click.echo(app.title, err=True)
    for stream in run.streams:
        label = f"source {stream.name}" if stream.name else "source"
        click.echo(f"  {label}: {stream.source.name}", err=True)
    for each, title in ((model, "model: "), *((finder, "finder:") for finder in run.finders)):
        click.echo(f"  {title} {each.where} ({each.kind}, {each.precision})", err=True)
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
    return {
        "app": app.name,
        "model": _told(run.model),
        "finders": [_told(finder) for finder in run.finders],
        "backend": backend,
        "policy": " and ".join(sorted({stream.policy for stream in summary.streams})),
        **plain,
        "totals": totals(run, summary.counts),
        "trigger": run.trigger and {"name": run.trigger.name, **run.trigger.gauges()},
        "events_file": _first([stream.events for stream in run.streams]),
        "video_file": _first([stream.video for stream in run.streams]),
        "files": [str(path) for path in _files(run, summary)],
        "sinks": {name: dict(figures) for name, figures in sink_figures(run).items()},
    }


def _told(model: RunModel) -> dict[str, str]:
    return {
        "path": model.where,
        "kind": model.kind,
        "precision": model.precision,
        "digest": model.digest,
    }


def totals(run: PreparedRun, counts: dict[str, dict[str, int]]) -> dict[str, int]:
    """Counts by column over all rows; the app's columns are there even when they are 0."""
    sums = dict.fromkeys(run.streams[0].program.columns, 0)
    for row in counts.values():
        for column, count in row.items():
            sums[column] = sums.get(column, 0) + count
    return sums


def show(run: PreparedRun, summary: RunSummary) -> None:
    """Tables of counts, streams, times and threads on stdout."""
    console = make_console()
    console.print(counts_table(totals(run, summary.counts), summary.counts))
    if len(summary.streams) > 1:
        sums = {stream.name: totals(run, stream.counts) for stream in summary.streams}
        console.print(stream_counts_table(sums))
        console.print(streams_table(summary))
    console.print(times_table(summary))
    console.print(threads_table(summary))
    dropped = f", {summary.frames_dropped} dropped" if summary.frames_dropped else ""
    console.print(
        f"{summary.frames_processed} of {summary.frames_captured} frames{dropped}"
        f" in {summary.seconds:.1f} s: {summary.fps:.1f} fps on this machine"
        f" ({state(summary.streams[0]) if len(summary.streams) == 1 else summary.ended})",
        highlight=False,
    )
    if run.trigger is not None:
        console.print(_trigger(run.trigger), highlight=False, soft_wrap=True)
    for path in _files(run, summary):
        console.print(f"written: {path}", highlight=False, soft_wrap=True)
    for name, figures in sink_figures(run).items():
        told = ", ".join(f"{figure.replace('_', ' ')} {count:,.0f}" for figure, count in figures)
        console.print(f"{name}: {told}", highlight=False, soft_wrap=True)


def sink_figures(run: PreparedRun) -> dict[str, list[tuple[str, float]]]:
    """What became of what each sink was given, by the sink's name."""
    return {
        sink.name: [(name, value) for name, value in sink.gauges().items() if name not in MOMENTARY]
        for sink in run.sinks
        if isinstance(sink, Measured)
    }


def _trigger(trigger: CountedTrigger) -> str:
    figures = trigger.gauges()
    lost = f", could not be read {figures['losses']:g} times" if figures["losses"] else ""
    return f"trigger {trigger.name} fired {figures['fired']:g} times{lost}"


def tell_failures(summary: RunSummary) -> bool:
    """Say on stderr which streams failed while others went on; True: there are some."""
    failed = [stream for stream in summary.streams if stream.error]
    for stream in failed:
        click.secho("error: ", fg="red", nl=False, err=True)
        click.echo(stream.error, err=True)
    return bool(failed)


def _files(run: PreparedRun, summary: RunSummary) -> list[Path]:
    """Those that were written: a stream without a frame makes none, nor a video without room."""
    streams = zip(run.streams, summary.streams, strict=True)
    made = [prepared for prepared, figures in streams if figures.frames_processed]
    files = [(each.events, *each.more_events, each.video) for each in made]
    programs = (each.program for each in made)
    own = [path for each in programs if isinstance(each, Writes) for path in each.files()]
    shared = dict.fromkeys(path for paths in files for path in paths if path and path.exists())
    return [*shared, *own]


def _first(paths: Sequence[Path | None]) -> str | None:
    return str(paths[0]) if paths[0] else None
