"""Which layers cost the answers most in INT8: estimated one by one, in a few runs each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured, Reference
from edgesdk.build.draft import Draft
from edgesdk.model import Model
from edgesdk.quantize.layers import Layer

PICTURES = 4
"""On so many the outputs are compared; enough to rank, not to measure."""
MOST = 48
"""Of a deep net, so many of the layers with the noisiest own outputs are tried."""
WEIGHT = 0.75
"""Exponent of a layer's work. With YOLOX-nano at minmax ranges, .75 left .75 of the work in INT8 at
the noise for which .5 left .71 and 0 (plain noise) .54; 1 left .74, with a quarter more layers."""
SILENT_DB = -999.0
"""Of an output that is zero in float: it cannot tell one layer's noise from another's."""


@dataclass(frozen=True)
class Jury:
    """Some pictures of a reference."""

    reference: Reference
    only: Sequence[int] | None = None
    """Indices; None: all."""

    @property
    def count(self) -> int:
        """How many pictures."""
        return len(self.reference.names) if self.only is None else len(self.only)

    def measure(self, graph: Model, draws: int, progress: Progress) -> Measured:
        """What the graph costs on these pictures; without intervals where `draws` is 0."""
        return self.reference.measure(graph, self.only, draws=draws, progress=progress)

    def few(self, count: int) -> Sequence[int]:
        """Indices of at most `count` of the pictures, evenly spread."""
        indices = range(len(self.reference.names)) if self.only is None else self.only
        step = max(len(indices) / count, 1.0)
        return [indices[int(i * step)] for i in range(min(count, len(indices)))]


def rank_layers(draft: Draft, jury: Jury, progress: Progress) -> tuple[Layer, ...]:
    """Layers by what giving them back is likely to bring for what it costs, best first.

    A layer's cost in accuracy is the noise that it alone in INT8 makes in the outputs: noise of
    several layers adds up as long as it is small. It is weighed against the layer's
    multiply-accumulates, so that of two layers that cost alike the smaller one goes first.
    """
    doubtful = sorted(draft.layers, key=lambda layer: draft.fits[layer.node].sqnr_db)[:MOST]
    few = jury.few(PICTURES)
    benefit = {}
    for layer in progress(doubtful, "rank", len(doubtful)):
        others = [one.node for one in draft.layers if one.node != layer.node]
        measured = jury.reference.measure(draft.graph(others), few, draws=0)
        noise = [_noise(output.sqnr_db) for output in measured.outputs.values()]
        benefit[layer.node] = float(np.mean(noise)) / max(layer.macs, 1) ** WEIGHT
    tried = sorted(doubtful, key=lambda layer: -benefit[layer.node])
    return (*tried, *_rest(draft.layers, tried))


def _rest(layers: Sequence[Layer], tried: Sequence[Layer]) -> list[Layer]:
    known = {layer.node for layer in tried}
    return sorted((one for one in layers if one.node not in known), key=lambda one: one.macs)


def _noise(sqnr_db: float | None) -> float:
    """Noise over signal."""
    if sqnr_db is None or sqnr_db <= SILENT_DB:
        return 0.0
    return float(min(10 ** (-sqnr_db / 10), 1e3))
