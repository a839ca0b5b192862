"""Results that the owner names: tests, benchmarks, engines. Only their figures and texts go in."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from edgesdk.backends.tensorrt.engines.record import read_record
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.bundle import open_bundle
from edgesdk.errors import BackendError, DataError
from edgesdk.fieldreport.part import Part, json_part
from edgesdk.report import read_report, to_json

MAX_JUNIT_BYTES = 20_000_000
MAX_TEXT = 6000
"""Characters of one failure's text that are kept: its end, where the error stands."""


@dataclass(frozen=True)
class Outcome:
    """One test."""

    name: str
    outcome: str
    """ "passed", "failed", "error" or "skipped"."""
    seconds: float
    text: str
    """Why it was skipped, or how it failed."""
    figures: dict[str, str]
    """What the test recorded, such as the seconds of a build."""


def tests_part(path: Path) -> Part:
    """The results of `scripts/test -m gpu --junitxml FILE`. Raises DataError."""
    try:
        if path.stat().st_size > MAX_JUNIT_BYTES:
            raise DataError(
                f"{path}: larger than {MAX_JUNIT_BYTES} bytes", "run the gpu tests only"
            )
        tree = ET.parse(path)
    except (OSError, ET.ParseError) as error:
        raise DataError(
            f"{path}: not readable as the results of tests: {error}",
            "write them with: scripts/test -m gpu --junitxml FILE",
        ) from error
    results = [_result(case) for case in tree.iter("testcase")]
    if not results:
        raise DataError(f"{path}: there is no test in it", "scripts/test -m gpu --junitxml FILE")
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("passed", "failed", "error", "skipped")
    }
    value = {"counts": counts, "tests": results}
    return json_part("gpu-tests.json", "outcome of each test that needs a GPU", value)


def _result(case: ET.Element) -> Outcome:
    outcome, text = "passed", ""
    for kind, name in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        found = case.find(kind)
        if found is not None:
            outcome = name
            text = f"{found.get('message', '')}\n{found.text or ''}".strip()[-MAX_TEXT:]
    figures = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
    name = f"{case.get('classname', '')}::{case.get('name', '')}"
    return Outcome(name, outcome, float(case.get("time", 0)), text, figures)


def bench_part(index: int, path: Path) -> Part:
    """A report of `edgesdk bench --out`. Raises ConfigError for anything else."""
    report = read_report(path)
    what = f"latency report, {report.provenance.statement}"
    return Part(f"bench/{index}.json", what, to_json(report))


def bundle_parts(index: int, path: Path) -> tuple[Part, ...]:
    """What a bundle is, and the layers of its engines; neither weights nor engines.

    Raises BundleError when it cannot be opened.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    facts = {
        "name": manifest.name,
        "precision": manifest.precision,
        "device": manifest.device,
        "sdk_version": manifest.sdk_version,
        "digest": bundle.digest,
        "inputs": [str(spec) for spec in bundle.model().inputs],
        "outputs": [str(spec) for spec in bundle.model().outputs],
    }
    what = f"name, precision, digest and shapes of the bundle {manifest.name}"
    parts = [json_part(f"bundles/{index}/bundle.json", what, facts)]
    for folder in EngineStore.beside(bundle).folders:
        for record in sorted(folder.glob("*.json")):
            name = f"bundles/{index}/engines/{record.name}"
            parts.append(_engine_part(name, record))
    return tuple(parts)


def _engine_part(name: str, path: Path) -> Part:
    try:
        return json_part(name, "layers of an engine: precision, device, kernel", read_record(path))
    except BackendError as error:
        return Part(name, "an engine's JSON that cannot be read", f"{error}\n")
