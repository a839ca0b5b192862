"""The inside of an engine in the terminal: its phases, and the layers that take longest."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgesdk.report import EngineReport, words
from edgesdk.report.engine_charts import phase_bars

SLOWEST = 5


def print_engine(engine: EngineReport, console: Console) -> None:
    """Medians of the phases, the shares of the precisions, the slowest layers."""
    console.print()
    title = f"inside the engine, medians of {engine.runs} runs, {engine.manner}"
    console.print(Text(title, style="bold"))
    phases = ", ".join(f"{bar.label} ({bar.note}) {bar.value}" for bar in phase_bars(engine))
    console.print(Text(phases))
    if not engine.layers:
        return
    shares = ", ".join(f"{name} {percent:.0f} %" for name, percent in engine.by_precision)
    console.print(Text(f"time of {len(engine.layers)} layers by precision: {shares}"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("slowest layers", overflow="fold")
    for name in ("runs in", "ms", "%"):
        table.add_column(name, justify="right")
    for layer in engine.slowest[:SLOWEST]:
        share = f"{layer.share_percent:.1f}"
        table.add_row(Text(layer.name), layer.precision or "?", words.ms(layer.median_ms), share)
    console.print(table)
