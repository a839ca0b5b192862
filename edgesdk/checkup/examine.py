"""The whole examination of a bundle, from its manifest alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgesdk.bundle import Manifest
from edgesdk.checkup.finding import Finding, Severity, counted
from edgesdk.checkup.input_findings import input_findings
from edgesdk.checkup.inspection_findings import inspection_findings
from edgesdk.checkup.layer_findings import layer_findings
from edgesdk.checkup.output_findings import output_findings
from edgesdk.checkup.range_findings import range_findings

_ORDER: tuple[Severity, ...] = ("problem", "warning", "info")


@dataclass(frozen=True)
class Checkup:
    """All findings, the gravest first."""

    findings: tuple[Finding, ...]
    unknown: tuple[str, ...] = ()
    """What could not be looked at, because the bundle does not hold the evidence."""

    @property
    def healthy(self) -> bool:
        """Whether there is no problem; warnings may be."""
        return not self.count("problem")

    def count(self, severity: Severity) -> int:
        """Findings of this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One short sentence."""
        problems, warnings = self.count("problem"), self.count("warning")
        if problems:
            return f"{counted(problems, 'problem')} to mend before this bundle is used"
        if warnings:
            return f"no problem; {counted(warnings, 'warning')} to look at"
        return "nothing was found that speaks against this bundle"


def examine(manifest: Manifest, more: Iterable[Finding] = ()) -> Checkup:
    """Read the evidence. `more` are findings from elsewhere, such as those of `stale_findings`."""
    # What goes in first: where that is wrong, all that follows is a symptom of it.
    found = [*more]
    if manifest.calibration:
        found += input_findings(manifest.calibration)
    found += [*output_findings(manifest), *inspection_findings(manifest)]
    found += layer_findings(manifest)
    if manifest.calibration:
        found += range_findings(manifest.calibration)
    findings = sorted(found, key=lambda finding: _ORDER.index(finding.severity))
    return Checkup(tuple(findings), tuple(_unknown(manifest)))


def _unknown(manifest: Manifest) -> Iterable[str]:
    calibration = manifest.calibration
    if calibration is None:
        return
    if not calibration.inputs:
        yield "values of the inputs"
    if calibration.preprocessing is None:
        yield "whether another preprocessing suits the model better"
    elif calibration.preprocessing.note:
        yield f"preprocessing: {calibration.preprocessing.note}"
    if calibration.variety is None:
        yield "how varied the pictures are"
    if not any(found.evidence for found in calibration.ranges.values()):
        yield "growth of the ranges, dead channels and pictures that set a range alone"
