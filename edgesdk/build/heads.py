"""Heads that compare with what was learned: they stay float32 whatever the rest computes in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from edgesdk.anomaly.graph import PREFIX
from edgesdk.bundle import LayerPrecision
from edgesdk.calibration import Recipe
from edgesdk.model import Model
from edgesdk.quantize.layers import INT8_OPERATORS
from edgesdk.quantize.placement import Wishes

LEAST_SQNR_DB = 36.0
"""Of the outputs: distances differ little for their size, and what tells bad parts from good ones
are the differences. On magnetic tiles at 24 dB the noise was a third of the heat's spread, and cost
.02 of AUROC; nearly all of it came from the first layers, which have few multiply-accumulates."""
FLOAT_SHARE = 0.15
"""Of the multiply-accumulates that layers may have which go back to float for it."""
WHY = "compares with good parts: a small difference of large numbers"


def float_heads(model: Model) -> dict[str, str]:
    """Nodes of a model that have to stay float32, by what they do and not by their values."""
    names = (node.name for node in model.proto.graph.node)
    return {name: WHY for name in names if name.startswith(PREFIX)}


def with_float_heads(wishes: Wishes, model: Model) -> Wishes:
    """The user's wishes, and that no layer of such a head is INT8."""
    heads = float_heads(model)
    nodes = model.proto.graph.node
    if not any(n.name in heads and n.op_type in INT8_OPERATORS for n in nodes):
        return wishes
    return replace(wishes, keep_float=(*wishes.keep_float, re.escape(PREFIX) + ".*"))


def with_finer_outputs(recipe: Recipe, model: Model) -> Recipe:
    """The recipe, with what such a head asks of the layers before it."""
    if recipe.min_output_sqnr_db is None or not float_heads(model):
        return recipe
    return replace(recipe, min_output_sqnr_db=LEAST_SQNR_DB, max_float_share=FLOAT_SHARE)


def explained(layers: Iterable[LayerPrecision], model: Model) -> tuple[LayerPrecision, ...]:
    """The rows with the reason of those that nobody asked for."""
    heads = float_heads(model)
    return tuple(
        replace(row, precision="fp32", reason=heads[row.node]) if row.node in heads else row
        for row in layers
    )
