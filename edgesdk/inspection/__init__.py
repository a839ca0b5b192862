"""One verdict for each part on a line: parts, verdicts, their record and their statistics."""

from edgesdk.inspection.draw import InspectionView
from edgesdk.inspection.finder import PartFinder
from edgesdk.inspection.judge import Judge
from edgesdk.inspection.settings import JudgeSettings, PartSettings
from edgesdk.inspection.verdict import Outcome, Reason, Verdict

__all__ = [
    "InspectionView",
    "Judge",
    "JudgeSettings",
    "Outcome",
    "PartFinder",
    "PartSettings",
    "Reason",
    "Verdict",
]
