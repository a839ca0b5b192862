"""The report as one HTML page that needs nothing else: no script, no font, no request."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from edgesdk.report import charts, engine_charts, words
from edgesdk.report.latency import LatencyReport


@dataclass(frozen=True)
class Card:
    """One headline number."""

    title: str
    value: str
    unit: str
    note: str


def to_html(report: LatencyReport) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=PackageLoader("edgesdk.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template("latency.html.j2").render(
        report=report,
        cards=_cards(report),
        histogram=_histogram(report),
        timeline=_timeline(report),
        stage_bar=charts.stacked_bar(
            [charts.Part(stage.name, stage.share_percent) for stage in report.stages]
        ),
        rows=[("total", 100.0, report.total)]
        if len(report.stages) == 1
        else [
            *((stage.name, stage.share_percent, stage.latency) for stage in report.stages),
            ("total", 100.0, report.total),
        ],
        phases=engine_charts.phase_bars(report.engine) if report.engine else (),
        slowest=engine_charts.layer_bars(report.engine) if report.engine else (),
        shares=engine_charts.precision_shares(report.engine) if report.engine else (),
        provenance=words.provenance_rows(report),
        ms=words.ms,
        stated=words.stated,
        interval=words.interval,
    )
    return page


def _cards(report: LatencyReport) -> tuple[Card, ...]:
    total = report.total
    return (
        Card("Median latency", words.stated(total.median), "ms", words.interval(total.median)),
        Card("p99 latency", words.stated(total.p99), "ms", words.interval(total.p99)),
        Card("Throughput", f"{report.throughput_fps:.1f}", "fps", "one picture at a time"),
        Card("Spread", f"{total.cv_percent:.1f}", "%", "standard deviation / mean"),
    )


def _histogram(report: LatencyReport) -> charts.Chart:
    total = report.total
    marks = [(words.name_of(q), q.ms) for q in (total.median, total.p95, total.p99)]
    labelled = [(f"{name} {words.ms(ms)} ms", ms) for name, ms in marks if ms is not None]
    return charts.histogram_chart(report.histogram, labelled, "latency of one picture, ms")


def _timeline(report: LatencyReport) -> charts.Chart:
    limit = report.histogram.edges_ms[-1]
    return charts.timeline_chart(
        report.timeline, limit, "time since the measurement began, s", "latency, ms"
    )
