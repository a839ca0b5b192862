"""The INT8 part of a build: draft, recovery to a target, and the graph that is shipped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import prod
from typing import Protocol

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured
from edgesdk.backends import load_backend, opened
from edgesdk.build.draft import Draft
from edgesdk.build.heads import float_heads, with_finer_outputs
from edgesdk.build.quantization import Quantizer
from edgesdk.build.ranking import Jury
from edgesdk.build.recovery import Search
from edgesdk.build.rescue import rescue
from edgesdk.build.unstated import unstated_ranges
from edgesdk.bundle import ImplicitRange, Recovery
from edgesdk.calibration import Recipe, Statistics
from edgesdk.checkup.depth import accumulated_db
from edgesdk.model import Model
from edgesdk.model.edit import value_shapes
from edgesdk.quantize.fp16 import find_islands, peaks, positions, tensors_to_watch, write_fp16
from edgesdk.quantize.layers import INT8_OPERATORS
from edgesdk.quantize.placement import Wishes, place
from edgesdk.tensors import FeedSource

HALF_SCALES = 19
"""ONNX operator set from which Q/DQ take float16."""
DEPTH_FEEDS = 2
DEPTH_VALUES = 1 << 25
"""Layers are looked at from the input on until their outputs hold so many values (128 MB)."""
BALANCE_GAIN_DB = 2.0
"""What a Mul must bring where a recipe did not ask for any."""
PEAK_FEEDS = 24
"""Of so many the largest magnitudes decide what fits FP16; its rules leave room for others."""


@dataclass(frozen=True)
class Int8Graph:
    """What came out, and how."""

    graph: Model
    draft: Draft
    seen: Statistics
    keep_float: tuple[str, ...]
    """Layers in float."""
    islands: dict[str, str]
    """Nodes that stay float32 in a FP16 rest -> why."""
    reasons: dict[str, str]
    """Layers in float -> why."""
    depth_db: dict[str, float]
    """Layer -> signal to noise of its output with all layers in INT8, before any is given back."""
    implicit_ranges: dict[str, ImplicitRange]
    """Of tensors without a pair, for INT8 without Q/DQ."""
    measured: Measured | None = None
    """On the verifying pictures, where a target was given."""
    recovery: Recovery | None = None


@dataclass(frozen=True)
class Int8Order:
    """What is wanted of the INT8 part."""

    recipe: Recipe
    wishes: Wishes
    half_rest: bool
    """Operators outside the INT8 layers compute in FP16."""
    max_drop: float | None = None
    """Largest drop allowed, as a share of the float model's figure, 0..1; None: no target."""


class Juries(Protocol):
    """Pictures to judge by, opened when they are needed."""

    def few(self) -> Jury:
        """Some of the calibration set."""
        ...

    def both(self) -> tuple[Jury, Jury]:
        """To search on, and to verify on."""
        ...


@dataclass(frozen=True)
class Int8Maker:
    """From a prepared float32 model to the graph that is shipped."""

    model: Model
    order: Int8Order
    feeds: FeedSource
    juries: Juries
    progress: Progress

    def make(self) -> Int8Graph:
        """With a target: the recipe first, then all corrections, then layers back in float."""
        made = self._drafted(self.order.recipe)
        if self.order.max_drop is None:
            return replace(made, graph=self._finished(made)(made.draft.graph()))
        juries = self.juries.both()
        search = self._search(made, juries, self.order.max_drop)
        corrected = all_corrections(self.order.recipe)
        if corrected != self.order.recipe and not search.holds():
            made = self._drafted(corrected)
            tried = search.steps
            search = self._search(made, juries, self.order.max_drop)
            search.steps += tried
            search.plain = "all corrections"
        found = search.run()
        why = dict.fromkeys(found.keep_float, "given back to reach the accuracy target")
        return replace(
            made,
            graph=found.graph,
            keep_float=found.keep_float,
            reasons=made.reasons | why,
            measured=found.measured,
            recovery=found.evidence,
        )

    def _search(self, made: Int8Graph, juries: tuple[Jury, Jury], max_drop: float) -> Search:
        return Search(made.draft, *juries, max_drop, self._finished(made), self.progress)

    def _drafted(self, recipe: Recipe) -> Int8Graph:
        """All that comes before a search; the graph is still the float model."""
        exact = load_backend("onnxruntime", exact=True, patient=True)
        half = self.order.half_rest
        quantizer = Quantizer(self.model, recipe, exact, self.progress, self.order.wishes, half)
        draft, seen = quantizer.draft(self.feeds)
        jury = self.juries.few()
        reasons = rescue(draft, jury, with_finer_outputs(recipe, self.model), self.progress)
        shipped = draft.without(reasons)
        few = self.feeds.thinned(recipe.fit_pictures)
        return Int8Graph(
            graph=self.model,
            draft=shipped,
            seen=seen,
            keep_float=(),
            islands=half_islands(draft.model, few) if half else {},
            reasons=reasons,
            depth_db=noise_by_depth(draft, self.feeds),
            implicit_ranges=unstated_ranges(shipped, seen, quantizer.observer, jury, self.progress),
        )

    def _finished(self, made: Int8Graph) -> Callable[[Model], Model]:
        def finish(graph: Model) -> Model:
            if not self.order.half_rest:
                return graph
            return write_fp16(graph, _present(made.islands, graph))

        return finish


def all_corrections(recipe: Recipe) -> Recipe:
    """The recipe with every correction that leaves the layers in INT8."""
    gain = BALANCE_GAIN_DB if recipe.min_balance_gain_db is None else recipe.min_balance_gain_db
    return replace(
        recipe,
        min_balance_gain_db=gain,
        search_ranges=True,
        round_weights=True,
        correct_bias=True,
    )


def half_islands(model: Model, few: FeedSource) -> dict[str, str]:
    """Nodes of a float32 model that FP16 would break -> why, by what some pictures show."""
    watching = peaks(model, list(tensors_to_watch(model)))
    fast = load_backend("onnxruntime", patient=True)
    with opened(fast, watching.model) as session:
        largest = watching.observe(session, (feed for _, feed in islice(few, PEAK_FEEDS)))
    layers = {layer.node for layer in place(model, INT8_OPERATORS).layers}
    found = positions(model, layers, largest) | find_islands(model, largest)
    return found | float_heads(model)


def noise_by_depth(draft: Draft, feeds: FeedSource) -> dict[str, float]:
    """Signal to noise by layer when everything is INT8, on a few feeds; where memory allows."""
    shapes = value_shapes(draft.model)
    outputs = {node.name: node.output[0] for node in draft.model.proto.graph.node}
    nodes, values = [], 0
    for layer in draft.layers:
        values += prod(shapes.get(outputs[layer.node], ()))
        if values > DEPTH_VALUES:
            break
        nodes.append(layer.node)
    few = (feed for _, feed in islice(feeds, DEPTH_FEEDS))
    exact = load_backend("onnxruntime", exact=True, patient=True)
    return accumulated_db(draft.model, draft.graph(), nodes, few, partial(opened, exact))


def _present(nodes: Mapping[str, str], graph: Model) -> Collection[str]:
    names = {node.name for node in graph.proto.graph.node}
    return [node for node in nodes if node in names]
