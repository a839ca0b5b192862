"""How right a model is: against the float model's numbers, and against labelled pictures.

Each measure takes one picture at a time with `add` and answers with `result`.
"""

from edgesdk.accuracy.classification import ClassificationMetric
from edgesdk.accuracy.detection import DetectionMetric
from edgesdk.accuracy.numeric import OutputError, OutputErrors, Similarity, cosine, sqnr_db

__all__ = [
    "ClassificationMetric",
    "DetectionMetric",
    "OutputError",
    "OutputErrors",
    "Similarity",
    "cosine",
    "sqnr_db",
]
