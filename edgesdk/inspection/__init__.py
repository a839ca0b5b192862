"""One verdict for each part on a line: parts, verdicts, their record and their statistics."""

from edgesdk.inspection.verdict import Outcome, Reason, Verdict

__all__ = ["Outcome", "Reason", "Verdict"]
