"""The latency report: measurements with their provenance, and the same as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk import _config
from edgesdk.errors import ConfigError
from edgesdk.report.activity import Activity
from edgesdk.report.engine import EngineReport
from edgesdk.report.engine_findings import find_in_engine
from edgesdk.report.findings import Finding, find
from edgesdk.report.machine import Machine
from edgesdk.report.measure import MeasureSettings, Samples
from edgesdk.report.shapes import Histogram, Timeline, histogram_of, timeline_of
from edgesdk.report.statistics import Summary, summarize

FORMAT = 1


@dataclass(frozen=True)
class Subject:
    """What was measured."""

    name: str
    """Of the bundle."""
    target: str
    """Device profile that the bundle was built for; empty: none."""
    precision: str
    """As built: int8, fp16 or fp32."""
    bundle_digest: str
    model_digest: str
    """SHA-256 of the ONNX graph inside the bundle."""
    input: str
    """The pictures, in words, e.g. "synthetic noise 1280x720"."""


@dataclass(frozen=True)
class Software:
    """Versions of what took part."""

    edgesdk: str
    python: str
    numpy: str
    onnx: str
    backend: str
    """Name of the backend that ran the model."""
    backend_version: str
    threads: int
    """Asked of the backend; 0: its own choice."""


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from."""

    date_utc: str
    """ISO 8601, to the second."""
    command: str
    processor: Literal["CPU", "GPU"]
    """What ran the model."""
    subject: Subject
    software: Software
    machine: Machine
    activity: Activity

    @property
    def statement(self) -> str:
        """The sentence that has to stand beside every number of this report."""
        board, cpu = self.machine.board, self.machine.cpu or "unknown model"
        if self.processor == "GPU":
            return f"measured on the GPU of this {board or 'machine'}"
        if board:
            return f"measured on the CPU ({cpu}) of this {board}, not on its GPU"
        target = self.subject.target
        return f"measured on this machine's CPU ({cpu})" + (f", not on {target}" if target else "")


@dataclass(frozen=True)
class Warmup:
    """What ran before the measurement and is in no statistic."""

    count: int
    total_ms: float
    first_ms: float | None
    """The first iteration alone, which pays for allocation; None: no warm-up."""


@dataclass(frozen=True)
class StageSummary:
    """One stage of each iteration."""

    name: str
    share_percent: float
    """Of the total time."""
    latency: Summary


@dataclass(frozen=True)
class LatencyReport:
    """One run of `edgesdk bench`."""

    kind: Literal["latency"]
    """Tells this file from other reports."""
    format: int
    """Version of this layout; a reader refuses a newer one."""
    provenance: Provenance
    settings: MeasureSettings
    warmup: Warmup
    throughput_fps: float
    """Pictures a second, one at a time: 1000 / mean latency. A pipeline that overlaps its stages
    can do more."""
    total: Summary
    """All stages together."""
    stages: tuple[StageSummary, ...]
    histogram: Histogram
    timeline: Timeline
    findings: tuple[Finding, ...]
    engine: EngineReport | None = None
    """Phases and layers, where the session can time them. None stands in no file: reports without
    it are as they were before there was such a thing."""

    @property
    def warnings(self) -> int:
        """How many findings should be mended before the numbers are quoted."""
        return sum(finding.level == "warning" for finding in self.findings)


def make_report(
    samples: Samples,
    settings: MeasureSettings,
    provenance: Provenance,
    notes: tuple[Finding, ...] = (),
    engine: EngineReport | None = None,
) -> LatencyReport:
    """Judge and summarize one run; `notes` are findings that only the caller can know."""
    total = summarize(samples.total_ms)
    machine, precision = provenance.machine, provenance.subject.precision
    found = find(samples, total, machine, provenance.activity)
    inside = find_in_engine(engine, machine, precision) if engine else ()
    return LatencyReport(
        kind="latency",
        format=FORMAT,
        provenance=provenance,
        settings=settings,
        warmup=_warmup(samples),
        throughput_fps=round(1000 / total.mean_ms, 3) if total.mean_ms else 0.0,
        total=total,
        stages=tuple(_stage(samples, name) for name in samples.stages),
        histogram=histogram_of(samples.total_ms),
        timeline=timeline_of(samples.total_ms),
        findings=_warnings_first((*found, *inside, *notes)),
        engine=engine,
    )


def _warnings_first(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.level != "warning"))


def _warmup(samples: Samples) -> Warmup:
    ms = samples.warmup_ns / 1e6
    return Warmup(len(ms), round(float(ms.sum()), 6), float(ms[0]) if len(ms) else None)


def _stage(samples: Samples, name: str) -> StageSummary:
    ms, whole = samples.stage_ms(name), float(samples.total_ms.sum())
    share = 100 * float(ms.sum()) / whole if whole else 0.0
    return StageSummary(name, round(share, 3), summarize(ms))


def to_json(report: LatencyReport) -> str:
    """The report as JSON text, ending in a newline; `statement` is added for human readers."""
    table = _config.plain(report)
    table["provenance"] = {"statement": report.provenance.statement, **table["provenance"]}
    if report.engine is None:
        del table["engine"]
    return json.dumps(table, indent=2, allow_nan=False) + "\n"


def from_json(text: str, where: str = "report") -> LatencyReport:
    """Read what `to_json` wrote. `where` names the file for error messages.

    Raises ConfigError for text that is not JSON, another kind of file, a newer format, or a key
    or value that does not belong.
    """
    try:
        table = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{where}: not readable as JSON: {error}") from error
    if not isinstance(table, dict) or table.get("kind") != "latency":
        raise ConfigError(
            f"{where}: this is no latency report", "write one with: edgesdk bench --out FILE"
        )
    if table.get("format") != FORMAT:
        raise ConfigError(
            f"{where}: format {table.get('format')!r}; this edgesdk reads format {FORMAT}",
            "read it with the edgesdk that wrote it, or measure again",
        )
    _without_statement(table)
    return _config.parse(LatencyReport, table, where)


def _without_statement(table: dict[str, object]) -> None:
    """It follows from the rest, so what stands in the file does not count."""
    provenance = table.get("provenance")
    if isinstance(provenance, dict):
        provenance.pop("statement", None)


def read_report(path: Path) -> LatencyReport:
    """Read a report's JSON file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(
            f"{path}: the report cannot be read: {reason}",
            "name a report that `edgesdk bench BUNDLE --out FILE` wrote",
        ) from error
    return from_json(text, str(path))
