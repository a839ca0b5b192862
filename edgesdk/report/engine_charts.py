"""The two pictures of an engine: the phases of a run on one line of time; its slowest layers."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.report.engine import EngineReport, Layer, PhaseName
from edgesdk.report.words import ms

SLOWEST = 15
"""Layers that are drawn; the table has them all."""
PRECISIONS = ("int8", "fp16", "fp32")
"""Each has a colour of its own; others share the last."""


@dataclass(frozen=True)
class Bar:
    """One bar with its words, in percent of the width of the chart."""

    label: str
    note: str
    """Smaller, beside the label."""
    value: str
    start: float
    width: float
    style: str
    """Class of the page's style sheet."""


@dataclass(frozen=True)
class Share:
    """One entry of the legend."""

    label: str
    percent: float
    style: str


_PHASES: dict[PhaseName, tuple[str, str]] = {
    "enqueue": ("Enqueue", "processor"),
    "h2d": ("Input to GPU", "H2D"),
    "compute": ("Engine", "GPU compute"),
    "d2h": ("Output to host", "D2H"),
}


def phase_bars(engine: EngineReport) -> tuple[Bar, ...]:
    """Medians, one below the other: the three of the GPU follow each other, enqueue runs beside.

    All share one scale, whose end is that of the longer of the two.
    """
    middles = {name: engine.phase(name).middle_ms for name in _PHASES}
    on_gpu = middles["h2d"] + middles["compute"] + middles["d2h"]
    scale = max(on_gpu, middles["enqueue"], 1e-9)
    starts = {
        "enqueue": 0.0,
        "h2d": 0.0,
        "compute": middles["h2d"],
        "d2h": middles["h2d"] + middles["compute"],
    }
    return tuple(
        Bar(
            label,
            note,
            f"{ms(middles[name])} ms",
            round(100 * starts[name] / scale, 3),
            round(100 * middles[name] / scale, 3),
            f"phase-{name}",
        )
        for name, (label, note) in _PHASES.items()
    )


def layer_bars(engine: EngineReport) -> tuple[Bar, ...]:
    """The slowest layers, coloured by what they compute in."""
    slowest = engine.slowest[:SLOWEST]
    scale = max((layer.median_ms for layer in slowest), default=1.0) or 1.0
    return tuple(
        Bar(
            layer.name,
            _note(layer),
            f"{ms(layer.median_ms)} ms",
            0.0,
            round(100 * layer.median_ms / scale, 3),
            precision_style(layer.precision),
        )
        for layer in slowest
    )


def precision_shares(engine: EngineReport) -> tuple[Share, ...]:
    """The legend: which precision takes how much of the layers' time."""
    return tuple(
        Share(name, percent, precision_style(name)) for name, percent in engine.by_precision
    )


def precision_style(precision: str) -> str:
    """Class of the page's style sheet."""
    return f"in-{precision}" if precision in PRECISIONS else "in-other"


def _note(layer: Layer) -> str:
    device = "DLA" if layer.device == "dla" else ""
    return ", ".join(filter(None, (layer.precision or "precision unknown", device)))
