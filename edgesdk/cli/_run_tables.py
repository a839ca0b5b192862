"""The tables at the end of `edgesdk run`."""

from __future__ import annotations

from rich.table import Table

from edgesdk.pipeline import RunSummary, StreamSummary


def counts_table(sums: dict[str, int], counts: dict[str, dict[str, int]]) -> Table:
    """Events by row and column; `sums` has the columns."""
    table = _table("Counts", ("", *sums))
    for label, row in counts.items():
        table.add_row(label, *(str(row.get(name, 0)) for name in sums))
    table.add_section()
    table.add_row("total", *map(str, sums.values()))
    return table


def times_table(summary: RunSummary) -> Table:
    """What each stage took, and how old frames were at the end."""
    table = _table("Milliseconds for each frame", ("stage", "median", "p95", "max"))
    for stage in summary.stages:
        if stage.name == "total":
            table.add_section()
        table.add_row(stage.name, *_ms(stage.median_ms, stage.p95_ms, stage.max_ms))
    if summary.frames_processed:
        age = summary.age
        table.add_row("age at the end", *_ms(age.median_ms, age.p95_ms, age.max_ms))
    return table


def threads_table(summary: RunSummary) -> Table:
    """How busy each thread was; the busiest holds up the others."""
    table = _table("Threads", ("thread", "busy"))
    for thread in summary.threads:
        table.add_row(f"{thread.name}: {', '.join(thread.stages)}", f"{thread.busy:.0%}")
    return table


def streams_table(summary: RunSummary) -> Table:
    """How each stream went, a row each."""
    headings = ("stream", "captured", "processed", "dropped", "fps", "age p95 ms", "state")
    table = _table("Streams", headings)
    for stream in summary.streams:
        frames = (stream.frames_captured, stream.frames_processed, stream.frames_dropped)
        figures = (*map(str, frames), f"{stream.fps:.1f}", *_ms(stream.age.p95_ms))
        table.add_row(stream.name, *figures, state(stream))
    return table


def stream_counts_table(sums: dict[str, dict[str, int]]) -> Table:
    """What each stream counted, a row each; `sums` has its counts by column."""
    columns = tuple(dict.fromkeys(name for row in sums.values() for name in row))
    table = _table("Counts by stream", ("stream", *columns))
    for stream, row in sums.items():
        table.add_row(stream, *(str(row.get(name, 0)) for name in columns))
    return table


def state(stream: StreamSummary) -> str:
    """How it ended and how often it came back, in a few words."""
    again = stream.state.reconnects if stream.state else 0
    return f"{stream.ended}, {again} reconnects" if again else str(stream.ended)


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left")
    return table


def _ms(*values: float) -> list[str]:
    return [f"{value:.2f}" for value in values]
