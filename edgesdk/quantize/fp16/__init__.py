"""FP16: which nodes must stay float32, and the graph with both types written into it."""

from edgesdk.quantize.fp16.bounds import Peaks, peaks, tensors_to_watch
from edgesdk.quantize.fp16.constants import representable_scale
from edgesdk.quantize.fp16.islands import find_islands
from edgesdk.quantize.fp16.positions import positions
from edgesdk.quantize.fp16.simulate import simulate_fp16
from edgesdk.quantize.fp16.write import write_fp16

__all__ = [
    "Peaks",
    "find_islands",
    "peaks",
    "positions",
    "representable_scale",
    "simulate_fp16",
    "tensors_to_watch",
    "write_fp16",
]
