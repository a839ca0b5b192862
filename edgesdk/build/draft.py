"""A float model on its way to INT8: all that was decided, from which any mix of precisions follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgesdk.calibration.histogram import Ints
from edgesdk.model import Model
from edgesdk.quantize.fit import LayerFit
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.placement import Branch
from edgesdk.quantize.qdq import write_qdq


@dataclass(frozen=True)
class Draft:
    """Everything that a quantized graph is written from."""

    model: Model
    """The float model, its channels balanced."""
    layers: tuple[Layer, ...]
    """That can be INT8, reading the balanced tensors."""
    branches: tuple[Branch, ...]
    """Skipping branches of residual additions, which get a pair as well."""
    left: Mapping[str, str]
    """Operators that stay in float whatever is wanted -> why."""
    amax: Mapping[str, float]
    """By tensor of `model`."""
    fits: Mapping[str, LayerFit]
    """By layer."""
    carriers: Mapping[str, str]
    """Balanced tensor -> the node that carries its factors."""
    shifts: Mapping[str, Ints]
    """Balanced tensor, by its name in the given model -> power of two of each channel."""

    def graph(self, keep_float: Collection[str] = ()) -> Model:
        """The model in INT8, except for these layers."""
        chosen = [layer for layer in self.layers if layer.node not in keep_float]
        branches = [b for b in self.branches if b.layer not in keep_float]
        corrected = {node: fit.corrected for node, fit in self.fits.items()}
        return write_qdq(self.model, self.amax, chosen, corrected, branches)

    def int8_share(self, keep_float: Collection[str] = ()) -> float:
        """Share of the multiply-accumulates of all layers that run in INT8, 0..1."""
        total = sum(layer.macs for layer in self.layers)
        inside = sum(layer.macs for layer in self.layers if layer.node not in keep_float)
        return inside / total if total else 0.0
