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


@dataclass(frozen=True)
class Ranked:
    """A layer and the noise that it alone makes in the outputs when it runs in INT8."""

    layer: Layer
    noise: float
    """Noise over signal, mean over the output groups. Noise of several layers adds up as long as
    it is small."""


def rank_layers(draft: Draft, jury: Jury, progress: Progress) -> tuple[Layer, ...]:
    """Layers by what giving them back is likely to bring for what it costs, best first.

    The noise that a layer makes is weighed against its multiply-accumulates, so that of two
    layers that cost alike the smaller one goes first.
    """
    found = noisy_layers(draft, jury, progress)
    found = sorted(found, key=lambda one: -one.noise / max(one.layer.macs, 1) ** WEIGHT)
    tried = [one.layer for one in found]
    return (*tried, *_rest(draft.layers, tried))


def noisy_layers(draft: Draft, jury: Jury, progress: Progress) -> list[Ranked]:
    """The layers with the noisiest outputs of their own, and what each costs the answers."""
    doubtful = sorted(draft.layers, key=lambda layer: draft.fits[layer.node].sqnr_db)[:MOST]
    found = []
    for layer in progress(doubtful, "rank", len(doubtful)):
        others = [one.node for one in draft.layers if one.node != layer.node]
        found.append(Ranked(layer, output_noise(draft, others, jury)))
    return found


def output_noise(draft: Draft, keep_float: Sequence[str], jury: Jury) -> float:
    """Noise over signal of the graph with these layers in float, mean over the output groups."""
    few = jury.few(PICTURES)
    measured = jury.reference.measure(draft.graph(keep_float), few, draws=0)
    noise = [noise_share(output.sqnr_db) for output in measured.outputs.values()]
    return float(np.mean(noise)) if noise else 0.0


def _rest(layers: Sequence[Layer], tried: Sequence[Layer]) -> list[Layer]:
    known = {layer.node for layer in tried}
    return sorted((one for one in layers if one.node not in known), key=lambda one: one.macs)


def noise_share(sqnr_db: float | None) -> float:
    """Noise over signal; 0 without any noise, and of an output that was silent."""
    if sqnr_db is None or sqnr_db <= SILENT_DB:
        return 0.0
    return float(min(10 ** (-sqnr_db / 10), 1e3))
