"""Calibrate: find the range of every tensor that will be INT8, in one pass over the pictures."""

from edgesdk.calibration.cache import CacheFile, fingerprint
from edgesdk.calibration.collect import collect
from edgesdk.calibration.observers import Observer, find_observer
from edgesdk.calibration.recipe import Recipe, load_recipe, recipe_names
from edgesdk.calibration.statistics import Statistics, TensorStatistics
from edgesdk.calibration.table import CalibrationTable, TensorRange, make_table

__all__ = [
    "CacheFile",
    "CalibrationTable",
    "Observer",
    "Recipe",
    "Statistics",
    "TensorRange",
    "TensorStatistics",
    "collect",
    "find_observer",
    "fingerprint",
    "load_recipe",
    "make_table",
    "recipe_names",
]
