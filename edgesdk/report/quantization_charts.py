"""Charts over a network's depth: error by layer, ranges by tensor; and accuracy against INT8."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from edgesdk.bundle import LayerPrecision, Range, Recovery, RecoveryStep
from edgesdk.report.charts import Axis, Chart, Mark

HIGHEST_DB = 60.0
"""Cleaner layers are drawn as if they had this: nothing above it matters in INT8."""
LONGEST_NAME = 26
DECADES_BELOW = 6
"""Channels smaller than the largest range by more decades lie on the chart's lower edge."""


@dataclass(frozen=True)
class LogAxis(Axis):
    """An axis of decades: `low` and `high` are logarithms to the base 10, values are not."""

    def percent(self, value: float) -> float:
        """Place of a value > 0, 0..100; what lies beyond an end is put on it."""
        place = math.log10(value) if value > 0 else self.low
        return round(100 * min(max((place - self.low) / (self.high - self.low), 0), 1), 4)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Powers of ten, every second or third one where there are many."""
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        step = max(1, math.ceil((last - first) / 7))
        powers = range(first, last + 1, step)
        return tuple((self.percent(10.0**power), f"{10.0**power:g}") for power in powers)


def error_chart(layers: Sequence[LayerPrecision]) -> Chart | None:
    """Own signal to noise of each layer as bars, accumulated as a line; None: never measured.

    A layer in float has a bar over the whole height, in another colour.
    """
    if all(layer.sqnr_db is None and layer.accumulated_db is None for layer in layers):
        return None
    x = Axis("layer, from the input to the outputs", 0.5, len(layers) + 0.5, True)
    highest = max(_shown(value) for layer in layers for value in _errors(layer))
    y = Axis("signal to noise, dB (higher is better)", 0, max(highest * 1.06, 10))
    bars = "".join(_layer_bar(x, y, place, layer) for place, layer in enumerate(layers, 1))
    line = [
        (x.percent(place), 100 - y.percent(_shown(layer.accumulated_db)))
        for place, layer in enumerate(layers, 1)
        if layer.accumulated_db is not None
    ]
    shapes = bars + (_polyline("line strong", line) if len(line) > 1 else "")
    inside = [(p, n) for p, n in enumerate(layers, 1) if n.precision == "int8"]
    measured = [(n.sqnr_db, p, n.node) for p, n in inside if n.sqnr_db is not None]
    marks = _marks(
        x, [(place, f"{short(name)} {db:.1f} dB") for db, place, name in sorted(measured)[:2]]
    )
    summary = f"Signal to noise of {len(layers)} layers over the network's depth"
    return Chart(shapes, x, y, summary, marks)


def range_chart(ranges: Mapping[str, Range]) -> Chart | None:
    """amax and the largest value of each tensor, and the band of its channels; None: no ranges."""
    found = [(name, r) for name, r in ranges.items() if r.amax > 0 and r.largest > 0]
    if not found:
        return None
    x = Axis("INT8 tensor, from the input to the outputs", 0.5, len(found) + 0.5, True)
    y = _magnitudes([r for _, r in found])
    places = [x.percent(index) for index in range(1, len(found) + 1)]
    band = [
        (place, r.evidence)
        for place, (_, r) in zip(places, found, strict=True)
        if r.evidence and r.evidence.channel_max > 0
    ]
    shapes = ""
    if band:
        top = [(place, 100 - y.percent(e.channel_max)) for place, e in band]
        bottom = [(place, 100 - y.percent(e.channel_min)) for place, e in band]
        middle = [(place, 100 - y.percent(e.channel_median)) for place, e in band]
        shapes += f'<polygon class="band" points="{_points([*top, *reversed(bottom)])}"/>'
        shapes += _polyline("line thin", middle)
    pairs = list(zip(places, found, strict=True))
    shapes += _polyline("line", [(place, 100 - y.percent(r.amax)) for place, (_, r) in pairs])
    shapes += "".join(
        _dot(
            "dot",
            place,
            100 - y.percent(r.largest),
            f"{name}: largest {r.largest:.4g}, amax {r.amax:.4g}, {r.saturated:.2%} saturated",
        )
        for place, (name, r) in pairs
    )
    spread = [(e.channel_max / e.channel_min, place) for place, e in band if e.channel_min > 0]
    marks: tuple[Mark, ...] = ()
    if spread:
        widest, place = max(spread)
        name = next(n for p, (n, _) in pairs if p == place)
        marks = (Mark(f"{short(name)}: channels differ {widest:.0f}-fold", place, 0),)
    return Chart(shapes, x, y, f"Ranges of {len(found)} tensors over depth", marks)


def pareto_chart(recovery: Recovery) -> Chart | None:
    """What is left of the float model's figure against the share of INT8; None: no attempts.

    The search and its verification see other pictures, on which the float model does otherwise
    well too. So each attempt is drawn in percent of the float model on its own pictures.
    """
    if not recovery.steps:
        return None
    steps = recovery.steps
    shares = [100 * step.int8_share for step in steps]
    left = [100 * step.kept_share(step.drop) for step in steps]
    ends = [_interval(step) for step in steps]
    allowed = recovery.max_drop / recovery.float_value if recovery.float_value else 0.0
    target = 100 * (1 - allowed)
    low = min(target, *(end[0] for end in ends))
    high = max(100.0, *(end[1] for end in ends))
    room = max((high - low) * 0.08, 1e-3)
    wide = max((max(shares) - min(shares)) * 0.08, 0.1)
    x = Axis("share of the multiply-accumulates in INT8, %", min(shares) - wide, max(shares) + wide)
    y = Axis(f"{recovery.metric}, % of the float model's", low - room, high + room)
    shapes = _level("level", y, 100, "the float model")
    shapes += _level("level target", y, target, "the target")
    searched = sorted(
        (s, v) for s, v, one in zip(shares, left, steps, strict=True) if one.high is None
    )
    shapes += _polyline("line", [(x.percent(s), 100 - y.percent(v)) for s, v in searched])
    for share, value, step, (bottom, top) in zip(shares, left, steps, ends, strict=True):
        place = x.percent(share)
        span = f'y1="{100 - y.percent(top):.2f}" y2="{100 - y.percent(bottom):.2f}"'
        shapes += f'<line class="whisker" x1="{place:.2f}" x2="{place:.2f}" {span}/>'
        title = f"{step.action}: {recovery.metric} {step.value:.4f}, {share:.2f} % in INT8"
        kind = "dot strong" if step.kept else "dot undone"
        shapes += _dot(kind, place, 100 - y.percent(value), title)
    return Chart(shapes, x, y, f"{recovery.metric} against the share of INT8")


def short(name: str) -> str:
    """The end of a long name, which tells more than its beginning."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _errors(layer: LayerPrecision) -> Iterator[float]:
    yield from (v for v in (layer.sqnr_db, layer.accumulated_db) if v is not None)


def _shown(db: float | None) -> float:
    return min(max(db or 0.0, 0.0), HIGHEST_DB)


def _layer_bar(x: Axis, y: Axis, place: int, layer: LayerPrecision) -> str:
    left, right = x.percent(place - 0.42), x.percent(place + 0.42)
    inside = layer.precision == "int8"
    told = "not measured" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f} dB by itself"
    title = f"{layer.node} ({layer.operator}, {layer.precision}): {told}"
    if layer.accumulated_db is not None:
        title += f", {layer.accumulated_db:.1f} dB with all before it"
    height = y.percent(_shown(layer.sqnr_db)) if inside else 100.0
    box = f'x="{left:.3f}" y="{100 - height:.3f}" width="{right - left:.3f}" height="{height:.3f}"'
    kind = "flat" if inside else "in-float"
    return f'<rect class="{kind}" {box}><title>{escape(title)}</title></rect>'


def _magnitudes(ranges: Sequence[Range]) -> LogAxis:
    evidence = [r.evidence for r in ranges if r.evidence]
    top = max([*(r.largest for r in ranges), *(e.channel_max for e in evidence)])
    small = [*(r.amax for r in ranges), *(e.channel_min for e in evidence if e.channel_min > 0)]
    bottom = max(min(small), top / 10**DECADES_BELOW)
    low, high = math.log10(bottom), math.log10(top)
    room = max((high - low) * 0.05, 0.15)
    return LogAxis("magnitude (logarithmic)", low - room, high + room)


def _interval(step: RecoveryStep) -> tuple[float, float]:
    """In percent of the float model's figure, from that of the drop; the value where there is
    none."""
    drops = [step.drop, *(end for end in (step.low, step.high) if end is not None)]
    return 100 * step.kept_share(max(drops)), 100 * step.kept_share(min(drops))


def _marks(x: Axis, labelled: Iterable[tuple[int, str]]) -> tuple[Mark, ...]:
    return tuple(Mark(text, x.percent(place), row) for row, (place, text) in enumerate(labelled))


def _level(kind: str, y: Axis, value: float, title: str) -> str:
    height = f"{100 - y.percent(value):.2f}"
    line = f'<line class="{kind}" x1="0" x2="100" y1="{height}" y2="{height}">'
    return f"{line}<title>{escape(title)}</title></line>"


def _dot(kind: str, x: float, y: float, title: str) -> str:
    """A line of no length with round ends: stays round however the chart is stretched."""
    path = f'<path class="{kind}" d="M {x:.2f},{y:.2f} h 0">'
    return f"{path}<title>{escape(title)}</title></path>"


def _polyline(kind: str, pairs: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="{kind}" points="{_points(pairs)}"/>'


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in pairs)
