"""Fits ranges, weights and biases to what layers read, then one scale to tensors in a group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice

from onnx import numpy_helper

from edgesdk._progress import Progress
from edgesdk.backends import Session, load_backend, opened
from edgesdk.bundle import ScaleGroup
from edgesdk.calibration import Recipe, Statistics
from edgesdk.calibration.histogram import Ints
from edgesdk.calibration.observers import Observer
from edgesdk.model import Model
from edgesdk.model.edit import initializers
from edgesdk.quantize.balance import balancing_candidates
from edgesdk.quantize.bias import carries_bias
from edgesdk.quantize.fit import Read, Rules, ScaleForm, TensorFit, fit_tensor
from edgesdk.quantize.fold import folds
from edgesdk.quantize.groups import moves_on_dla, moves_on_gpu, scale_groups
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.placement import Placement
from edgesdk.quantize.samples import Unit, sample
from edgesdk.quantize.sharing import Member, share_scale
from edgesdk.tensors import FeedSource


@dataclass(frozen=True)
class Fits:
    """What all quantized tensors of a model get."""

    tensors: Mapping[str, TensorFit]
    """That layers read."""
    branches: Mapping[str, float]
    """Range of those that other operators read; of one that a layer reads too, if it is balanced
    for the layer, that of the tensor as it was."""
    groups: tuple[ScaleGroup, ...]
    """Tensors that INT8 moves between."""


@dataclass(frozen=True)
class Fitter:
    """Runs the float model over a few feeds: once for all layers, once for those in groups."""

    model: Model
    recipe: Recipe
    observer: Observer
    """The recipe's."""
    progress: Progress
    form: ScaleForm
    """Makes of a scale one that the graph can hold."""

    def fit(self, placement: Placement, seen: Statistics, few: FeedSource) -> Fits:
        """Choose for each tensor alone, then for those that may share a scale."""
        units: dict[str, list[Layer]] = defaultdict(list)
        for layer in placement.layers:
            units[layer.activation].append(layer)
        kept = {branch.tensor for branch in placement.branches}
        fits = {
            unit[0].activation: self._fit_unit(unit, reads, seen, kept)
            for unit, reads in self._reads(list(map(tuple, units.values())), few, "fit")
        }
        branches = {
            b.tensor: self.observer.amax(seen.tensors[b.tensor].whole()) for b in placement.branches
        }
        return self._shared(placement, seen, Fits(fits, branches, ()), few)

    def _reads(
        self, units: Sequence[Unit], few: FeedSource, step: str
    ) -> Iterator[tuple[Unit, tuple[Read, ...]]]:
        weights = initializers(self.model)
        sampled = sample(self.model, units, few, few.count or 1, _opened_fast)
        for unit, samples in self.progress(sampled, step, len(units)):
            yield (
                unit,
                tuple(
                    Read(
                        layer,
                        numpy_helper.to_array(weights[layer.weight]),
                        one,
                        self.form,
                        self.recipe.correct_bias
                        and carries_bias(self.model.proto.graph, layer.node),
                    )
                    for layer, one in zip(unit, samples, strict=True)
                ),
            )

    def _fit_unit(
        self, unit: Unit, reads: Sequence[Read], seen: Statistics, kept: Set[str]
    ) -> TensorFit:
        tensor = unit[0].activation
        free = folds(self.model.proto.graph, tensor, {layer.node for layer in unit}, kept)
        candidates: tuple[Ints, ...] = ()
        if self.recipe.min_balance_gain_db is not None and (free or self.recipe.allow_mul):
            histogram = seen.tensors[tensor].histogram
            candidates = balancing_candidates(histogram, unit, [read.weight for read in reads])
        rules = Rules(self.recipe, self.observer)
        return fit_tensor(reads, seen.tensors[tensor], candidates, free, rules)

    def _groups(
        self, placement: Placement, fits: Mapping[str, TensorFit]
    ) -> tuple[tuple[str, ...], ...]:
        """A balanced tensor is no member: what is quantized is the product with its factors."""
        balanced = {tensor for tensor, fit in fits.items() if fit.shifts is not None}
        branches = {branch.tensor for branch in placement.branches}
        tensors = [t for t in placement.watch if t in branches or t not in balanced]
        moves = moves_on_dla if self.recipe.rules == "dla" else moves_on_gpu
        return scale_groups(self.model, tensors, moves)

    def _shared(self, placement: Placement, seen: Statistics, fits: Fits, few: FeedSource) -> Fits:
        always = self.recipe.rules == "dla"
        if not (always or self.recipe.share_scales):
            return fits
        groups = self._groups(placement, fits.tensors)
        layers = {t: tuple(r for r in placement.layers if r.activation == t) for t in fits.tensors}
        plain = {t: fit for t, fit in fits.tensors.items() if fit.shifts is None}
        units = [layers[t] for group in groups for t in group if t in plain]
        reads = self._reads(units, few, "share scales")
        tensors, branches, told = dict(fits.tensors), dict(fits.branches), []
        for group in groups:
            read = {u[0].activation: r for u, r in islice(reads, sum(t in plain for t in group))}
            members = [_member(t, seen, read, fits) for t in group]
            found, fitted = share_scale(members, self.recipe, always)
            told.append(found)
            tensors |= fitted
            if found.amax is not None:
                branches |= {t: found.amax for t in group if t in branches}
        return Fits(tensors, branches, tuple(told))


def _member(
    tensor: str, seen: Statistics, reads: Mapping[str, Sequence[Read]], fits: Fits
) -> Member:
    histogram = seen.tensors[tensor].whole()
    if tensor not in reads:
        return Member(tensor, fits.branches[tensor], histogram)
    fit = fits.tensors[tensor]
    return Member(tensor, fit.amax, histogram, reads[tensor], fit)


def _opened_fast(model: Model) -> AbstractContextManager[Session]:
    return opened(load_backend("onnxruntime", patient=True), model)
