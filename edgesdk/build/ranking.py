"""Which layers cost the answers most in INT8: estimated one by one, in a few runs each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured, Reference
from edgesdk.build.draft import Draft
from edgesdk.quantize.layers import Layer

PICTURES = 4
"""On so many the outputs are compared; enough to rank, not to measure."""
MOST = 48
"""Of a deep net, so many of the layers with the noisiest own outputs are tried."""


@dataclass(frozen=True)
class Ranked:
    """A layer and the noise that it alone makes in the outputs when it runs in INT8."""

    layer: Layer
    noise: float
    """Noise over signal, mean over the output groups. Noise of several layers adds up as long as
    it is small."""


def rank_layers(draft: Draft, reference: Reference, progress: Progress) -> tuple[Ranked, ...]:
    """The layers with the noisiest outputs of their own, those first that cost the answers most."""
    doubtful = sorted(draft.layers, key=lambda layer: draft.fits[layer.node].sqnr_db)[:MOST]
    found = []
    for layer in progress(doubtful, "rank", len(doubtful)):
        others = [one.node for one in draft.layers if one.node != layer.node]
        found.append(Ranked(layer, output_noise(few_measured(draft, others, reference))))
    return tuple(sorted(found, key=lambda one: -one.noise))


def few_measured(draft: Draft, keep_float: Sequence[str], reference: Reference) -> Measured:
    """The outputs of the graph on some pictures."""
    few = range(min(PICTURES, len(reference.names)))
    return reference.measure(draft.graph(keep_float), few, draws=0)


def output_noise(measured: Measured) -> float:
    """Noise over signal, mean over the output groups; a silent reference counts as all noise."""
    levels = [output.sqnr_db for output in measured.outputs.values()]
    noise = [0.0 if db is None else min(10 ** (-db / 10), 1e3) for db in levels]
    return float(np.mean(noise)) if noise else 0.0
