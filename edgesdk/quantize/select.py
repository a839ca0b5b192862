"""Which layers stay in float: the worst ones, while they are bad enough and few enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgesdk.calibration import Recipe
from edgesdk.quantize.layers import Layer


def keep_in_float(
    layers: Sequence[Layer], sqnr_db: Mapping[str, float], recipe: Recipe
) -> tuple[Layer, ...]:
    """Layers below the recipe's `min_layer_sqnr_db`, worst first.

    It stops before the layers given back hold more than the recipe's share of the
    multiply-accumulates. A layer whose output never varies has nothing to lose and stays INT8.
    """
    if recipe.min_layer_sqnr_db is None:
        return ()
    budget = recipe.max_float_share * sum(layer.macs for layer in layers)
    kept: list[Layer] = []
    for layer in sorted(layers, key=lambda item: sqnr_db.get(item.node, 0.0)):
        value = sqnr_db.get(layer.node, float("inf"))
        if value >= recipe.min_layer_sqnr_db:
            break
        if value > float("-inf") and sum(k.macs for k in kept) + layer.macs <= budget:
            kept.append(layer)
    return tuple(kept)
