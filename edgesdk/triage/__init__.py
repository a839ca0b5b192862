"""Single pictures in the order in which they should be looked at. Not a medical device."""

from edgesdk.triage.rank import Ranker
from edgesdk.triage.settings import TriageSettings
from edgesdk.triage.triaged import Status, Triaged
from edgesdk.triage.view import NOTICE, draw_card
from edgesdk.triage.worklist import Worklist

__all__ = ["NOTICE", "Ranker", "Status", "TriageSettings", "Triaged", "Worklist", "draw_card"]
