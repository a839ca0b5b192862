"""Positions in pixels: what a decoder inside the graph computes, and FP16 would round."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgesdk.model import Model

COARSE = 256.0
"""From here on two neighbouring float16 numbers are a quarter of a pixel apart, and then more."""


def positions(
    model: Model, layers: Collection[str], largest: Mapping[str, float]
) -> dict[str, str]:
    """Nodes behind the last of `layers`, where values as large as positions occur -> why.

    `largest` holds the largest magnitude seen by tensor. Empty where all values behind the last
    layers are small: logits and scores lose nothing that matters in FP16.
    """
    behind = _behind(model, layers)
    nodes = [node for node in model.proto.graph.node if node.name in behind]
    made = {name: largest.get(name, 0.0) for node in nodes for name in node.output}
    if not made or max(made.values()) <= COARSE:
        return {}
    name = max(made, key=made.__getitem__)
    why = f"arithmetic of a decoder: {name!r} reaches {made[name]:.0f}, where FP16 has steps of "
    why += f"{2.0 ** (int(made[name]).bit_length() - 11):g}"
    return {node.name: why for node in nodes}


def _behind(model: Model, layers: Collection[str]) -> set[str]:
    """Nodes that no layer depends on, and that are none."""
    needed: set[str] = set()
    found = set()
    for node in reversed(model.proto.graph.node):
        if node.name in layers or needed & set(node.output):
            needed |= set(node.input)
        else:
            found.add(node.name)
    return found
