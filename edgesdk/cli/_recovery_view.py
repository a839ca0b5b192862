"""The way to an accuracy target, for people."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from edgesdk.bundle import Recovery, RecoveryStep


def show_recovery(recovery: Recovery, console: Console) -> None:
    """Every attempt, in percent of the float model's figure on the same pictures."""
    allowed = recovery.max_drop / recovery.float_value if recovery.float_value else 0.0
    console.print(
        f"The way to at most {100 * allowed:.3g}% below the float model's {recovery.metric}, "
        f"searched on {recovery.pictures} pictures",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE)
    table.add_column("attempt")
    for name in ("INT8", "drop", "95 %", "holds"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in recovery.steps:
        holds = "yes" if step.kept else "no"
        table.add_row(
            step.action, f"{step.int8_share:.1%}", _share(step, step.drop), _interval(step), holds
        )
    console.print(table, highlight=False)


def _interval(step: RecoveryStep) -> str:
    if step.low is None or step.high is None:
        return ""
    return f"{_share(step, step.low)} .. {_share(step, step.high)}"


def _share(step: RecoveryStep, drop: float) -> str:
    return f"{100 * (1 - step.kept_share(drop)) or 0.0:+.2f}%"
