"""Numbers and provenance as text, the same on the page and in the terminal."""

from __future__ import annotations

from edgesdk.report.findings import name_of
from edgesdk.report.latency import LatencyReport
from edgesdk.report.machine import ClockDomain, Machine
from edgesdk.report.statistics import Quantile

__all__ = ["interval", "ms", "name_of", "provenance_rows", "stated"]

Rows = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""(group, ((what, value), ...)), ..."""


def ms(value: float) -> str:
    """Four significant digits, but never finer than a microsecond nor exponents."""
    decimals = 3 if value < 10 else 2 if value < 100 else 1
    return f"{value:.{decimals}f}"


def stated(q: Quantile) -> str:
    """The percentile, or a dash where it cannot be stated."""
    return "–" if q.ms is None else ms(q.ms)  # noqa: RUF001 - a dash for the eye


def interval(q: Quantile) -> str:
    """The 95 % interval, or what it would take."""
    if q.low_ms is None or q.high_ms is None:
        return f"needs at least {q.needs} samples"
    return f"95 % interval {ms(q.low_ms)} to {ms(q.high_ms)}"


def provenance_rows(report: LatencyReport) -> Rows:
    """All that has to be known to judge or repeat the measurement; what is unknown is left out."""
    origin = report.provenance
    groups = (
        ("What", _subject(report)),
        ("How", _settings(report)),
        ("Where", _machine(origin.machine, origin.processor)),
        ("Meanwhile", _activity(report)),
        ("Software", _software(report)),
    )
    return tuple((name, tuple(row for row in rows if row[1])) for name, rows in groups)


def _subject(report: LatencyReport) -> tuple[tuple[str, str], ...]:
    subject = report.provenance.subject
    return (
        ("bundle", subject.name),
        ("bundle digest", subject.bundle_digest),
        ("model digest", subject.model_digest),
        ("built for", subject.target),
        ("precision", subject.precision),
        ("input", subject.input),
    )


def _settings(report: LatencyReport) -> tuple[tuple[str, str], ...]:
    settings, warmup, origin = report.settings, report.warmup, report.provenance
    first = "" if warmup.first_ms is None else f", the first one {ms(warmup.first_ms)} ms"
    limit = "" if settings.duration_s is None else f" within {settings.duration_s:g} s"
    return (
        ("warm-up", f"{warmup.count} iterations, {ms(warmup.total_ms)} ms{first}"),
        ("measured", f"{report.total.count} iterations (at most {settings.iterations}{limit})"),
        ("clock", "time.perf_counter_ns (monotonic)"),
        ("date", origin.date_utc),
        ("command", origin.command),
    )


def _machine(machine: Machine, processor: str) -> tuple[tuple[str, str], ...]:
    return (
        ("ran on", processor),
        ("CPU", machine.cpu),
        ("logical processors", str(machine.cores or "")),
        ("memory", f"{machine.memory_bytes / 2**30:.1f} GiB" if machine.memory_bytes else ""),
        ("system", machine.os),
        ("kernel", machine.kernel),
        ("Jetson board", machine.board or "no"),
        ("Jetson Linux", machine.jetson_linux),
        ("power mode", machine.power_mode),
        ("virtual machine", "yes" if machine.virtual else "no sign of one"),
        ("clocks", _clocks(machine.clocks)),
    )


def _clocks(clocks: tuple[ClockDomain, ...]) -> str:
    """Equal clocks once, with their number."""
    if not clocks:
        return "not readable"
    texts = [
        f"{'CPU' if clock.unit == 'cpu' else clock.name} {clock.current_mhz:.0f} MHz "
        f"({clock.min_mhz:.0f} to {clock.max_mhz:.0f}, {clock.governor})"
        for clock in clocks
    ]
    counted = {text: texts.count(text) for text in texts}
    return "; ".join(f"{n} x {text}" if n > 1 else text for text, n in counted.items())


def _activity(report: LatencyReport) -> tuple[tuple[str, str], ...]:
    activity = report.provenance.activity

    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.1f} % of all processors"

    load = activity.load_1min
    return (
        ("load average before", "" if load is None else f"{load:.2f}"),
        ("other processes", percent(activity.others_percent)),
        ("taken by the hypervisor", percent(activity.steal_percent)),
    )


def _software(report: LatencyReport) -> tuple[tuple[str, str], ...]:
    software = report.provenance.software
    threads = str(software.threads) if software.threads else "the backend's own choice"
    return (
        ("backend", f"{software.backend} {software.backend_version}".strip()),
        ("threads", threads),
        ("edgesdk", software.edgesdk),
        ("Python", software.python),
        ("numpy", software.numpy),
        ("onnx", software.onnx),
    )
