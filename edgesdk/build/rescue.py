"""Layers that alone make much of the noise in the answers go back to float, while they are small.

It needs no labels and no target: one or two layers can ruin a net, and are then worth their time
in float. Whatever is given back is measured, and kept only if the answers gain by it.
"""

from __future__ import annotations

from math import log10

from edgesdk._progress import Progress
from edgesdk.build.draft import Draft
from edgesdk.build.ranking import Jury, noisy_layers, output_noise
from edgesdk.calibration import Recipe

LEADING = 0.05
"""A layer that makes less than this share of the noise of all layers ruins nothing by itself."""
LEAST_GAIN = 0.9
"""Noise left over, of what there was, for a layer in float to be worth it."""


def rescue(draft: Draft, jury: Jury, recipe: Recipe, progress: Progress) -> dict[str, str]:
    """Layers that should stay in float -> why; empty where the answers are good as they are."""
    if recipe.min_output_sqnr_db is None:
        return {}
    target = 10 ** (-recipe.min_output_sqnr_db / 10)
    noise = output_noise(draft, (), jury)
    if noise <= target:
        return {}
    ranked = sorted(noisy_layers(draft, jury, progress), key=lambda one: -one.noise)
    total = sum(one.noise for one in ranked)
    budget = recipe.max_float_share * sum(layer.macs for layer in draft.layers)
    kept: dict[str, str] = {}
    for one in ranked:
        if noise <= target or one.noise < LEADING * total:
            break
        if one.layer.macs > budget:
            continue
        left = output_noise(draft, [*kept, one.layer.node], jury)
        if left <= LEAST_GAIN * noise:
            kept[one.layer.node] = _why(noise, left)
            noise, budget = left, budget - one.layer.macs
    return kept


def _why(before: float, after: float) -> str:
    gain = 10 * log10(before / after) if after > 0 else float("inf")
    return f"in INT8 it ruins the outputs: in float they gain {gain:.1f} dB"
