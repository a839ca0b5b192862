"""What a change of precision costs: numeric errors, figures of the task, and how sure they are."""

from edgesdk.accuracy.bootstrap import compare
from edgesdk.accuracy.classification import AnswerTable, TopOne
from edgesdk.accuracy.confidence import Reliability, fit_temperature, reliability
from edgesdk.accuracy.detection import CardTable, DetectionMetric, match
from edgesdk.accuracy.output_error import OutputError
from edgesdk.accuracy.reference import Measured, Reference
from edgesdk.accuracy.split import split

__all__ = [
    "AnswerTable",
    "CardTable",
    "DetectionMetric",
    "Measured",
    "OutputError",
    "Reference",
    "Reliability",
    "TopOne",
    "compare",
    "fit_temperature",
    "match",
    "reliability",
    "split",
]
