"""What the precision costs, for people."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgesdk.bundle import Accuracy, OutputAccuracy, TaskMetric
from edgesdk.cli._threshold_view import show_threshold

TELLABLE = 0.01
"""A drop of this share of a figure should be told from none; else the pictures are too few."""


def show_accuracy(accuracy: Accuracy, precision: str, console: Console) -> None:
    """The table of outputs, the figures with their intervals, and what limits them."""
    kind = "held-out " if accuracy.held_out else "calibration " if precision == "int8" else ""
    pictures = _counted(accuracy.pictures, f"{kind}picture")
    title = f"Float against {precision}, {pictures} of {accuracy.source}"
    console.print(Text(title), soft_wrap=True)
    table = Table(box=box.SIMPLE)
    table.add_column("output")
    for name in ("SQNR, dB", "cosine", "spread kept"):
        table.add_column(name, justify="right")
    for name, output in accuracy.outputs.items():
        sqnr = "exact" if output.sqnr_db is None else f"{output.sqnr_db:.1f}"
        table.add_row(name, sqnr, f"{output.cosine:.5f}", _kept(output))
    console.print(table)
    for metric in accuracy.metrics:
        console.print(_metric(metric, precision), soft_wrap=True, highlight=False)
    if accuracy.threshold:
        show_threshold(accuracy.threshold, precision, console)
    for line in _limits(accuracy, precision):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _kept(output: OutputAccuracy) -> str:
    if not output.float_std or output.built_std is None:
        return "-"
    return f"{output.built_std / output.float_std:.0%}"


def _metric(metric: TaskMetric, precision: str) -> Text:
    text = Text.assemble(
        f"  {metric.name}: float {metric.float_model:.3f}, {precision} ",
        (f"{metric.bundle:.3f}", "bold"),
        f", drop {_signed(metric.drop)}",
    )
    if metric.drop_low is not None and metric.drop_high is not None and metric.level:
        ends = f"{_signed(metric.drop_low)} .. {_signed(metric.drop_high)}"
        text.append(f" ({metric.level * 100:.0f} %: {ends})")
    return text


def _limits(accuracy: Accuracy, precision: str) -> list[str]:
    lines = []
    unsure = [m for m in accuracy.metrics[:1] if m.draws and _may_be_chance(m)]
    if unsure:
        names = " and ".join(metric.name for metric in unsure)
        lines.append(
            f"{_counted(accuracy.pictures, 'picture')} are too few to tell a drop of "
            f"{TELLABLE * 100:.0f} % in {names} from none"
        )
    if accuracy.metrics and not accuracy.held_out and precision == "int8":
        lines.append("These pictures calibrated it too, which flatters; name others with --eval")
    return lines + [line for line in (accuracy.note, accuracy.check_note) if line]


def _may_be_chance(metric: TaskMetric) -> bool:
    """Whether more pictures might show no drop, or another one, where these show some."""
    shown = metric.drop_low is not None and metric.drop_low > 0
    return not shown and not metric.can_tell(TELLABLE)


def _signed(value: float) -> str:
    return f"{round(value, 3) or 0.0:+.3f}"  # never "-0.000"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
