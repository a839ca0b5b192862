"""Inspection learned from good parts only: `fit` makes one graph that scores a picture."""

from edgesdk.accuracy.false_rejects import Threshold
from edgesdk.anomaly.fit import fit
from edgesdk.anomaly.settings import Backbone, FitSettings, Fitted
from edgesdk.anomaly.write import write_fitted

__all__ = ["Backbone", "FitSettings", "Fitted", "Threshold", "fit", "write_fitted"]
