"""`edgesdk bench`: measure latency by stage and write a report."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from edgesdk._files import write_atomic
from edgesdk.bench import BenchRequest, bench
from edgesdk.cli._console import console as make_console
from edgesdk.cli._engine_progress import EngineBar
from edgesdk.cli._engine_view import print_engine
from edgesdk.errors import EdgeError, UsageError
from edgesdk.report import Finding, LatencyReport, MeasureSettings, Summary, to_json, words
from edgesdk.report.html import to_html
from edgesdk.report.measure import MAX_ITERATIONS

OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--backend", default="onnxruntime", show_default=True, help="What runs the model.")
@click.option("--source", default="", help="Folder, tar, npz, video or sim://... Else noise.")
@click.option(
    "--iterations",
    type=click.IntRange(2, MAX_ITERATIONS),
    help="Most iterations (400, or as many as --duration allows).",
)
@click.option(
    "--duration", type=click.FloatRange(0, min_open=True), help="Stop after this many seconds."
)
@click.option(
    "--warmup",
    type=click.IntRange(0),
    default=MeasureSettings.warmup,
    show_default=True,
    help="Iterations before, in no statistic.",
)
@click.option(
    "--threads",
    type=click.IntRange(0),
    default=0,
    help="Of the backend; 0: its own choice.",
)
@click.option("--out", type=OUTPUT, help="Write the report as JSON.")
@click.option("--html", type=OUTPUT, help="Write the report as one HTML page.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON to stdout.")
def command(
    *,
    bundle: Path,
    backend: str,
    source: str,
    iterations: int | None,
    duration: float | None,
    warmup: int,
    threads: int,
    out: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure the latency of BUNDLE on this machine, by stage.

    The numbers are those of this machine's processor, whatever device the bundle was built for.
    """
    default = MAX_ITERATIONS if duration else MeasureSettings.iterations
    settings = MeasureSettings(warmup, iterations or default, duration)
    _check_outputs(bundle, out, html)
    typed = shlex.join(["edgesdk", *sys.argv[1:]])
    with EngineBar() as compiling:
        request = BenchRequest(bundle, backend, source, threads, settings, typed, compiling)
        report = _measured(request)
    _write(report, out, html)
    if as_json:
        click.echo(to_json(report), nl=False)
    else:
        print_report(report, make_console())


def _measured(request: BenchRequest) -> LatencyReport:
    """Measure with a bar on stderr; it has no thread of its own that would disturb."""
    count = None if request.settings.duration_s else request.settings.iterations
    errors = Console(stderr=True)
    hidden = not errors.is_terminal
    bar = Progress(console=errors, auto_refresh=False, transient=True, disable=hidden)
    task = bar.add_task("measuring", total=count)

    def show(done: int) -> None:
        bar.start()  # not before: until then an engine may be compiled, which has a bar of its own
        bar.update(task, completed=done, refresh=True)

    try:
        return bench(request, show)
    finally:
        bar.stop()


def _check_outputs(bundle: Path, out: Path | None, html: Path | None) -> None:
    """Neither report may take the place of the other or of a file of the bundle."""
    if out and html and out.resolve() == html.resolve():
        raise UsageError(f"--out and --html both name {out}", "give each a file of its own")
    for path in filter(None, (out, html)):
        if path.resolve().is_relative_to(bundle.resolve()):
            raise UsageError(
                f"{path} is inside the bundle, which would be damaged", "name another place"
            )
        _check_writable(path)


def _check_writable(path: Path) -> None:
    """Fail before a long measurement rather than after it."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK) or not folder.is_dir():
        raise EdgeError(f"cannot write {path}: {folder} takes no files", "name another place")


def _write(report: LatencyReport, out: Path | None, html: Path | None) -> None:
    if out is not None:
        write_atomic(out, to_json(report))
        click.echo(f"wrote {out}", err=True)
    if html is not None:
        write_atomic(html, to_html(report))
        click.echo(f"wrote {html}", err=True)


def print_report(report: LatencyReport, console: Console) -> None:
    """The figures, then whether they may be quoted."""
    origin = report.provenance
    subject, software = origin.subject, origin.software
    console.print(Text(f"{subject.name}  {subject.precision}", style="bold"))
    console.print(Text(origin.statement, style="bold cyan"))
    console.print(
        Text(
            f"{software.backend} {software.backend_version}, {report.total.count} iterations "
            f"after {report.warmup.count} of warm-up, {subject.input}",
            style="dim",
        )
    )
    console.print(_table(report))
    total = report.total
    console.print(f"{report.throughput_fps:.1f} fps, one picture at a time")
    console.print(Text(f"median: {words.interval(total.median)}; p99: {words.interval(total.p99)}"))
    if report.engine is not None:
        print_engine(report.engine, console)
    for finding in report.findings:
        console.print()
        console.print(_finding(finding))


def _finding(finding: Finding) -> Text:
    style = "bold yellow" if finding.level == "warning" else "bold"
    head = Text.assemble((f"{finding.level}: ", style), finding.seen)
    return Text("\n").join([head, Text(finding.means, "dim"), Text(f"do: {finding.do}", "cyan")])


def _table(report: LatencyReport) -> Table:
    """A column for each stage: names of stages are few, figures are many."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = [stage.name for stage in report.stages]
    for name in ("latency, ms", *names):
        table.add_column(name, justify="right" if name in names else "left")
    table.add_column("total", justify="right", style="bold")
    columns = [stage.latency for stage in report.stages] + [report.total]
    for label, value in _ROWS.items():
        table.add_row(label, *map(value, columns))
    shares = (f"{stage.share_percent:.1f}" for stage in report.stages)
    table.add_row("share of time, %", *shares, "100.0")
    return table


_ROWS: dict[str, Callable[[Summary], str]] = {
    "min": lambda latency: words.ms(latency.min_ms),
    "mean": lambda latency: words.ms(latency.mean_ms),
    "median": lambda latency: words.stated(latency.median),
    "p90": lambda latency: words.stated(latency.p90),
    "p95": lambda latency: words.stated(latency.p95),
    "p99": lambda latency: words.stated(latency.p99),
    "max": lambda latency: words.ms(latency.max_ms),
    "CV, %": lambda latency: f"{latency.cv_percent:.1f}",
}
