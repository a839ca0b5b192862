"""What the manifest says of an INT8 build: its layers, its ranges and what calibration saw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgesdk.build.int8 import Int8Graph, Int8Order
from edgesdk.bundle import Calibration, LayerPrecision, Precision, Range
from edgesdk.calibration.observers import saturated_share
from edgesdk.checkup.gather import input_channels, range_evidence
from edgesdk.quantize.layers import Layer
from edgesdk.tensors import FeedSource


def layer_rows(made: Int8Graph, rest: Precision) -> tuple[LayerPrecision, ...]:
    """All operators that could be INT8, in the order of the graph."""
    draft = made.draft
    kept = set(made.keep_float)
    order = {node.name: i for i, node in enumerate(draft.model.proto.graph.node)}
    rows = [_row(made, layer, rest if layer.node in kept else "int8") for layer in draft.layers]
    rows += [_row(made, layer, rest) for layer in draft.float_layers]
    known = {row.node for row in rows}
    kinds = {node.name: node.op_type for node in draft.model.proto.graph.node}
    rows += [
        LayerPrecision(node, kinds[node], rest, 0, None, why)
        for node, why in draft.left.items()
        if node not in known
    ]
    return tuple(sorted(rows, key=lambda row: order[row.node]))


def _row(made: Int8Graph, layer: Layer, precision: Precision) -> LayerPrecision:
    fit = made.draft.fits.get(layer.node)
    own = fit.sqnr_db if fit and np.isfinite(fit.sqnr_db) else None
    depth = made.depth_db.get(layer.node)
    why = made.reasons.get(layer.node, made.draft.left.get(layer.node, ""))
    return LayerPrecision(layer.node, layer.operator, precision, layer.macs, own, why, depth)


def calibration_rows(
    made: Int8Graph, order: Int8Order, recipe_name: str, feeds: FeedSource
) -> Calibration:
    """What calibration saw."""
    seen = made.seen
    moments = {n: t.moments for n, t in seen.tensors.items() if t.moments is not None}
    return Calibration(
        recipe=recipe_name,
        observer=order.recipe.observer,
        source=feeds.source,
        pictures=feeds.samples or seen.pictures,
        skipped=dict(seen.skipped),
        ranges=dict(_ranges(made)),
        implicit_ranges=made.implicit_ranges,
        balanced=dict(made.draft.carriers),
        groups=made.draft.groups,
        fingerprint=seen.fingerprint,
        inputs={name: input_channels(found) for name, found in moments.items()},
    )


def _ranges(made: Int8Graph) -> Iterator[tuple[str, Range]]:
    for tensor, (source, shifts) in made.draft.origins.items():
        found = made.seen.tensors[source]
        histogram = found.whole(shifts)
        amax = made.draft.amax[tensor]
        saturated = saturated_share(histogram, amax)
        evidence = range_evidence(found.histogram.largest, found.peaks, shifts)
        yield tensor, Range(amax, histogram.largest, saturated, evidence)
