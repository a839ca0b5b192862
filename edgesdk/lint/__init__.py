"""Checks of a graph against what TensorRT takes, before TensorRT sees it."""

from edgesdk.lint.dla import check_for_dla
from edgesdk.lint.rules import Finding, check_for_tensorrt

__all__ = ["Finding", "check_for_dla", "check_for_tensorrt"]
