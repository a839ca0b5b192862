"""Measurements with provenance: taken, judged, and written as JSON.

`edgesdk.report.html.to_html` makes the page; it stands apart because it loads jinja2.
"""

from edgesdk.report.activity import Activity, ActivityMeter
from edgesdk.report.engine import EngineReport, make_engine_report
from edgesdk.report.findings import Finding
from edgesdk.report.latency import (
    LatencyReport,
    Provenance,
    Software,
    Subject,
    from_json,
    make_report,
    read_report,
    to_json,
)
from edgesdk.report.machine import Machine, read_machine
from edgesdk.report.measure import MeasureSettings, Samples, measure
from edgesdk.report.statistics import Quantile, Summary

__all__ = [
    "Activity",
    "ActivityMeter",
    "EngineReport",
    "Finding",
    "LatencyReport",
    "Machine",
    "MeasureSettings",
    "Provenance",
    "Quantile",
    "Samples",
    "Software",
    "Subject",
    "Summary",
    "from_json",
    "make_engine_report",
    "make_report",
    "measure",
    "read_machine",
    "read_report",
    "to_json",
]
