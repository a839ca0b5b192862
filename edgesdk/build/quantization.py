"""The INT8 steps of a build: place, calibrate, fit, and write Q/DQ."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from edgesdk._progress import Progress
from edgesdk._resources import cache_folder
from edgesdk.accuracy import OutputError
from edgesdk.backends import Backend, load_backend, opened
from edgesdk.build.draft import Draft
from edgesdk.build.fitting import Fits, Fitter
from edgesdk.calibration import (
    CacheFile,
    Recipe,
    Statistics,
    collect,
    fingerprint,
)
from edgesdk.calibration.histogram import Ints
from edgesdk.calibration.observers import Observer, find_observer
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import refuse_control_flow, value_shapes
from edgesdk.quantize.balance import balance
from edgesdk.quantize.fp16 import representable_scale
from edgesdk.quantize.implicit_ranges import unstated_tensors
from edgesdk.quantize.int8 import LEVELS
from edgesdk.quantize.placement import Placement, Wishes, place
from edgesdk.tensors import FeedSource, Floats

EXACT_DB = 100.0
"""float32 keeps 24 bits, 144 dB; sums in another order cost some of it."""
WORKERS = 2
"""Pictures in flight while calibrating."""


@dataclass(frozen=True)
class Quantizer:
    """Makes a prepared float32 model INT8: one pass over all pictures, some more over a few."""

    model: Model
    recipe: Recipe
    backend: Backend
    """What scores graphs, operators as written."""
    progress: Progress
    wishes: Wishes = field(default_factory=Wishes)
    half_scales: bool = False
    """Scales are numbers that FP16 holds too, so that a FP16 rest changes nothing."""

    def draft(self, feeds: FeedSource) -> tuple[Draft, Statistics]:
        """Everything that INT8 needs, for all layers.

        Raises ModelError for a model without a layer that can be INT8, and DataError for feeds
        that calibration cannot learn from.
        """
        refuse_control_flow(self.model)
        placement = place(self.model, self.recipe.operators, self.wishes, self.recipe.rules)
        if not placement.layers:
            raise _nothing_to_quantize(self.recipe, placement)
        seen = self._calibrate(placement, feeds)
        few = feeds.thinned(self.recipe.fit_pictures)
        fitter = Fitter(self.model, self.recipe, self.observer, self.progress, self._form)
        return self._drafted(placement, seen, fitter.fit(placement, seen, few), few), seen

    def _calibrate(self, placement: Placement, feeds: FeedSource) -> Statistics:
        feeds = feeds.thinned(self.recipe.max_pictures)
        float_runs = load_backend("onnxruntime", threads=1)
        watch = self._inputs() | dict.fromkeys(self._unstated(placement), 1) | placement.watch
        key = fingerprint(self.model, watch, feeds.count, feeds.digest())
        found = collect(
            self.model,
            watch,
            self.progress(feeds, "calibrate", feeds.count),
            lambda model: float_runs.open(float_runs.compile(model)),
            pictures=feeds.count,
            workers=WORKERS,
            cache=CacheFile(cache_folder() / "calibration", key),
            skipped=feeds.skipped,
        )
        return replace(found, fingerprint=key)

    def _unstated(self, placement: Placement) -> tuple[str, ...]:
        """What DLA needs to know beside the pairs where it knows no pairs: on JetPack 5 and 6.

        Looked at for every target: it is a few tensors, and `edgesdk export --jetpack` may name
        another one later.
        """
        if self.recipe.rules != "dla":
            return ()
        nodes = {layer.node for layer in placement.layers}
        nodes |= {branch.node for branch in placement.branches}
        found = unstated_tensors(self.model, [*placement.watch], nodes)
        shapes = value_shapes(self.model)
        return tuple(t for t in found if len(shapes.get(t, ())) > 1)

    def _inputs(self) -> dict[str, int]:
        """Float inputs with channels: what comes in is looked at too."""
        found = (spec for spec in self.model.inputs if spec.dtype == "float32")
        return {spec.name: 1 for spec in found if len(spec.shape) > 1}

    def _drafted(
        self,
        placement: Placement,
        seen: Statistics,
        found: Fits,
        few: FeedSource,
    ) -> Draft:
        fits = found.tensors
        shifts = {t: fit.shifts for t, fit in fits.items() if fit.shifts is not None}
        balanced = balance(self.model, placement.layers, shifts)
        if shifts:
            self._check_unchanged(balanced.model, few)
        # Where a layer reads a branch's tensor too, the fitted range goes before.
        amax = dict(found.branches)
        origins: dict[str, tuple[str, Ints | None]] = {t: (t, None) for t in amax}
        pairs = list(zip(balanced.layers, placement.layers, strict=True))
        origins |= {
            new.activation: (old.activation, shifts.get(old.activation)) for new, old in pairs
        }
        amax |= {new.activation: fits[old.activation].amax for new, old in pairs}
        amax = {tensor: self._in_form(value) for tensor, value in amax.items()}
        fitted = {node: fit for one in fits.values() for node, fit in one.layers.items()}
        return Draft(
            model=balanced.model,
            layers=balanced.layers,
            branches=placement.branches,
            left=placement.left,
            amax=amax,
            fits=fitted,
            carriers=balanced.carriers,
            origins=origins,
            float_layers=placement.float_layers,
            groups=found.groups,
            unstated={t: balanced.scaled.get(t) for t in self._unstated(placement)},
        )

    @property
    def observer(self) -> Observer:
        """The recipe's."""
        return find_observer(self.recipe.observer, self.recipe.percentile)

    def _form(self, scales: Floats) -> Floats:
        return representable_scale(scales) if self.half_scales else scales

    def _in_form(self, amax: float) -> float:
        scale = np.array([(amax if amax > 0 else 1.0) / LEVELS], np.float32)
        return float(self._form(scale)[0]) * LEVELS

    def _check_unchanged(self, balanced: Model, few: FeedSource) -> None:
        """Powers of two are exact, so that anything else than rounding noise is a defect."""
        errors: dict[str, OutputError] = defaultdict(OutputError)
        with opened(self.backend, self.model) as one, opened(self.backend, balanced) as two:
            for _, (_, feed) in zip(range(2), few, strict=False):
                answers = two.run(feed)
                for name, expected in one.run(feed).items():
                    errors[name].add(expected, answers[name])
        for name, error in errors.items():
            if error.sqnr_db is not None and error.sqnr_db < EXACT_DB:
                raise ModelError(
                    f"balancing the channels changed the float model's output {name!r} "
                    f"({error.sqnr_db:.0f} dB)",
                    "this is a defect of edgesdk: report it, and build with --recipe fast",
                )


def _nothing_to_quantize(recipe: Recipe, placement: Placement) -> ModelError:
    hint = "build it with --precision fp16"
    if recipe.rules == "dla":
        hint = "a recipe for the GPU (balanced) may take it"
    if placement.left:
        node, why = next(iter(placement.left.items()))
        return ModelError(
            f"none of the model's {len(placement.left)} operators that could run in INT8 is left: "
            f"{node}: {why}",
            f"take back --keep-float where it names them; else {hint}",
        )
    operators = ", ".join(recipe.operators)
    return ModelError(
        f"the model has none of the operators that run in INT8: {operators}",
        hint,
    )
