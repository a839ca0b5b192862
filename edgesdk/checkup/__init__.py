"""The calibration doctor: what a bundle tells of its own making, and what to do about it.

`gather`, `variety`, `thumbnails` and `preprocessing` write the evidence down during a build;
`examine` reads it back, from the manifest alone.
"""

from edgesdk.checkup.certainty import judging_decoder
from edgesdk.checkup.depth import accumulated_db
from edgesdk.checkup.examine import Checkup, examine
from edgesdk.checkup.finding import Finding, Severity
from edgesdk.checkup.first_layer import first_norm
from edgesdk.checkup.gather import input_channels, range_evidence
from edgesdk.checkup.preprocessing import compare_preprocessing
from edgesdk.checkup.sample import sample_images
from edgesdk.checkup.stale import stale_findings
from edgesdk.checkup.thumbnails import dominant_pictures, thumbnails
from edgesdk.checkup.variety import VarietyMeter

__all__ = [
    "Checkup",
    "Finding",
    "Severity",
    "VarietyMeter",
    "accumulated_db",
    "compare_preprocessing",
    "dominant_pictures",
    "examine",
    "first_norm",
    "input_channels",
    "judging_decoder",
    "range_evidence",
    "sample_images",
    "stale_findings",
    "thumbnails",
]
