"""Calibrate: find the range of every tensor that will be INT8, in one pass over the pictures."""

from edgesdk.calibration.collect import collect
from edgesdk.calibration.recipe import Recipe, load_recipe, recipe_names
from edgesdk.calibration.table import CalibrationTable, TensorRange

__all__ = [
    "CalibrationTable",
    "Recipe",
    "TensorRange",
    "collect",
    "load_recipe",
    "recipe_names",
]
