"""All that was decided for an INT8 model; any mix of precisions is written from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from edgesdk.bundle import ScaleGroup
from edgesdk.calibration.histogram import Ints
from edgesdk.model import Model
from edgesdk.quantize.branch import Branch
from edgesdk.quantize.fit import LayerFit
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.qdq import write_qdq


@dataclass(frozen=True)
class Draft:
    """Everything that a quantized graph is written from."""

    model: Model
    """The float model, its channels balanced."""
    layers: tuple[Layer, ...]
    """That can be INT8, reading the balanced tensors."""
    branches: tuple[Branch, ...]
    """Other inputs that get a pair: skipping branches of residual additions, all that DLA reads."""
    left: Mapping[str, str]
    """Operators that stay in float whatever is wanted -> why."""
    amax: Mapping[str, float]
    """By tensor of `model`."""
    fits: Mapping[str, LayerFit]
    """By layer."""
    carriers: Mapping[str, str]
    """Balanced tensor -> the node that carries its factors."""
    origins: Mapping[str, tuple[str, Ints | None]]
    """Tensor of `amax` -> its name in the given model, and the power of two that each of its
    channels was multiplied by (None: not balanced)."""
    float_layers: tuple[Layer, ...] = ()
    """Layers that could be INT8 and stay in float whatever is wanted."""
    groups: tuple[ScaleGroup, ...] = ()
    """Tensors of the given model that INT8 moves between: with one scale, or why they have not."""
    unstated: Mapping[str, Ints | None] = field(default_factory=dict)
    """Tensor without a pair that implicit INT8 needs the range of -> the power of two that each of
    its channels was multiplied by (None: by none)."""

    def without(self, reasons: Mapping[str, str]) -> Draft:
        """The same with these layers in float for good."""
        return replace(
            self,
            layers=tuple(one for one in self.layers if one.node not in reasons),
            branches=tuple(one for one in self.branches if one.layer not in reasons),
            left={**self.left, **reasons},
            float_layers=(
                *self.float_layers,
                *(one for one in self.layers if one.node in reasons),
            ),
        )

    def graph(self, keep_float: Collection[str] = ()) -> Model:
        """The model in INT8, except for these layers."""
        chosen = [layer for layer in self.layers if layer.node not in keep_float]
        branches = [b for b in self.branches if b.layer not in keep_float]
        corrected = {node: fit.corrected for node, fit in self.fits.items()}
        return write_qdq(self.model, self.amax, chosen, corrected, branches)

    def int8_share(self, keep_float: Collection[str] = ()) -> float:
        """Share of the multiply-accumulates of all layers that run in INT8, 0..1."""
        total = sum(layer.macs for layer in (*self.layers, *self.float_layers))
        inside = sum(layer.macs for layer in self.layers if layer.node not in keep_float)
        return inside / total if total else 0.0
