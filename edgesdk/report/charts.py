"""Charts for a page without JavaScript: shapes as inline SVG, words as HTML around them.

The shapes live in a square of 100 x 100 that the page stretches, so a chart fits a telephone and
a wide screen, while its words (ticks, marks) keep their size. `_chart.html.j2` puts both together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from edgesdk.report.shapes import Histogram, Timeline


@dataclass(frozen=True)
class Axis:
    """A range of values and where they lie, in percent of the chart's side."""

    title: str
    """With the unit, e.g. "latency, ms"."""
    low: float
    high: float
    """Greater than `low`."""
    whole: bool = False
    """True for counts: no tick between two integers."""

    def percent(self, value: float) -> float:
        """Place of a value from the low end, 0..100 within the range."""
        return round(100 * (value - self.low) / (self.high - self.low), 4)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Three to eight round numbers within the range: (place in percent, label)."""
        step = round_step((self.high - self.low) / 8)
        step = max(step, 1.0) if self.whole else step
        decimals = max(0, -math.floor(math.log10(step)))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = (index * step for index in range(first, last + 1))
        return tuple((self.percent(value), f"{value:.{decimals}f}") for value in values)


@dataclass(frozen=True)
class Mark:
    """A labelled line at one place of the x axis."""

    label: str
    place: float
    """In percent from the left."""
    row: int
    """Height of its label above the chart: marks close together must not overlap."""


@dataclass(frozen=True)
class Chart:
    """What the template needs to draw one chart."""

    shapes: str
    """SVG elements in the 100 x 100 square, safe to insert as they are."""
    x: Axis
    y: Axis
    summary: str
    """One sentence for those who cannot see it."""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Part:
    """One piece of a stacked bar."""

    label: str
    percent: float
    """Of the whole bar."""


def histogram_chart(
    histogram: Histogram, marks: Sequence[tuple[str, float]], x_title: str
) -> Chart:
    """Bars of counts; a mark (label, value) that lies beyond the last edge is left out."""
    edges, counts = histogram.edges_ms, histogram.counts
    margin = (edges[-1] - edges[0]) * 0.012
    x = Axis(x_title, edges[0] - margin, edges[-1] + margin)
    y = Axis("iterations", 0, max(*counts, 1) * 1.04, True)
    bars = (
        _bar(x, y, (left, right), count)
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    )
    inside = [(label, value) for label, value in marks if x.low <= value <= x.high]
    lines = (Mark(label, x.percent(value), row) for row, (label, value) in enumerate(inside))
    total = sum(counts) + histogram.beyond
    summary = f"Histogram of {total} latencies from {edges[0]:.3g} to {edges[-1]:.3g} ms"
    return Chart("".join(bars), x, y, summary, tuple(lines))


def timeline_chart(timeline: Timeline, limit_ms: float, x_title: str, y_title: str) -> Chart:
    """A band from the fastest to the slowest of each stretch, and the line of its medians.

    What is slower than `limit_ms` is cut off, so that one outlier does not flatten the rest.
    """
    low = min(timeline.min_ms)
    high = max(min(limit_ms, max(timeline.max_ms)), low * 1.001, low + 1e-6)
    room = (high - low) * 0.08
    y = Axis(y_title, max(low - room, 0), high + room)
    x = Axis(x_title, 0, max(timeline.end_s, 1e-9))
    middles = [
        (start + end) / 2
        for start, end in zip(
            timeline.start_s, (*timeline.start_s[1:], timeline.end_s), strict=True
        )
    ]
    places = [x.percent(middle) for middle in middles]
    top, bottom = _heights(y, timeline.max_ms), _heights(y, timeline.min_ms)
    band = _points([*zip(places, top, strict=True), *reversed([*zip(places, bottom, strict=True)])])
    line = _points(zip(places, _heights(y, timeline.median_ms), strict=True))
    shapes = f'<polygon class="band" points="{band}"/><polyline class="line" points="{line}"/>'
    return Chart(shapes, x, y, f"Latency over {timeline.end_s:.3g} s of measurement")


def stacked_bar(parts: Sequence[Part]) -> str:
    """SVG elements of one bar, left to right, with the classes part0, part1, ..."""
    left, shapes = 0.0, []
    for index, part in enumerate(parts):
        title = f"<title>{escape(part.label)}: {part.percent:.1f} %</title>"
        place = f'x="{left:.3f}" y="0" width="{part.percent:.3f}" height="100"'
        shapes.append(f'<rect class="part{index % 6}" {place}>{title}</rect>')
        left += part.percent
    return "".join(shapes)


def round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough` (> 0)."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _bar(x: Axis, y: Axis, edges: tuple[float, float], count: int) -> str:
    left, right, height = x.percent(edges[0]), x.percent(edges[1]), y.percent(count)
    title = f"<title>{edges[0]:.3f} to {edges[1]:.3f} ms: {count}</title>"
    place = f'x="{left}" y="{100 - height:.4f}" width="{right - left:.4f}" height="{height}"'
    return f'<rect class="bar" {place}>{title}</rect>'


def _heights(y: Axis, values: Iterable[float]) -> list[float]:
    """From the top, as SVG counts, cut at the chart's edges."""
    return [min(max(100 - y.percent(value), 0.0), 100.0) for value in values]


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in pairs)
