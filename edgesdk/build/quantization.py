"""The INT8 steps of a build: calibrate, probe the layers, choose, write Q/DQ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from edgesdk._progress import Progress
from edgesdk.accuracy import OutputError
from edgesdk.backends import Backend, opened
from edgesdk.build.feeds import FeedSource, Remembering
from edgesdk.bundle import Calibration, LayerPrecision, Precision, Range
from edgesdk.calibration import CalibrationTable, Recipe, collect
from edgesdk.calibration.histogram import ChannelHistogram, Ints
from edgesdk.calibration.table import make_table
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import refuse_control_flow, with_outputs
from edgesdk.quantize.balance import Balanced, balance, choose_shifts
from edgesdk.quantize.layers import Layer, find_layers
from edgesdk.quantize.probe import layer_sqnr_db, probe_model
from edgesdk.quantize.qdq import write_qdq
from edgesdk.quantize.select import keep_in_float


@dataclass(frozen=True)
class Quantized:
    """The INT8 graph and how it came about."""

    model: Model
    layers: tuple[LayerPrecision, ...]
    calibration: Calibration


Seen = Mapping[str, ChannelHistogram]

EXACT_DB = 100.0
"""float32 keeps 24 bits, 144 dB; sums in another order cost some of it."""


@dataclass(frozen=True)
class Draft:
    """A float model on its way to INT8, and how its channels were moved."""

    balanced: Balanced
    shifts: Mapping[str, Ints]
    """Original tensor -> power of two of each channel."""

    @property
    def model(self) -> Model:
        """The float model with the factors in it."""
        return self.balanced.model

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Its layers that can be INT8."""
        return self.balanced.layers


@dataclass(frozen=True)
class Quantizer:
    """Makes a prepared float32 model INT8, with one pass over the pictures."""

    model: Model
    recipe_name: str
    recipe: Recipe
    backend: Backend
    progress: Progress

    def run(self, pictures: FeedSource) -> Quantized:
        """Calibrate, probe the layers, choose and write.

        Raises ModelError for a model without a layer that can be INT8, and DataError for
        pictures that calibration cannot learn from.
        """
        pictures = pictures.thinned(self.recipe.max_pictures)
        refuse_control_flow(self.model)
        layers = find_layers(self.model, self.recipe.operators)
        if not layers:
            operators = ", ".join(self.recipe.operators)
            raise ModelError(
                f"the model has none of the operators that run in INT8: {operators}",
                "build it with --precision fp16",
            )
        feeds = Remembering(pictures, self.recipe.probe_pictures)
        seen, count = self._calibrate(layers, feeds, pictures.count)
        draft = self._balanced(layers, seen, feeds)
        table = self._table(draft, layers, seen, count)
        probed = self.recipe.min_layer_sqnr_db is not None
        noise = self._probe(draft, table, feeds) if probed else {}
        in_float = keep_in_float(draft.layers, noise, self.recipe)
        chosen = [layer for layer in draft.layers if layer not in in_float]
        return Quantized(
            write_qdq(draft.model, table, chosen),
            tuple(_precision(r, r in in_float, noise.get(r.node)) for r in draft.layers),
            self._evidence(table, pictures, draft),
        )

    def _calibrate(
        self, layers: tuple[Layer, ...], feeds: Remembering, total: int | None
    ) -> tuple[Seen, int]:
        watch = {layer.activation: layer.input_axis for layer in layers}
        with opened(self.backend, with_outputs(self.model, watch)) as session:
            tracked = self.progress(feeds, "calibrate", total)
            seen, count = collect(session, watch, tracked)
        return seen, count

    def _balanced(self, layers: tuple[Layer, ...], seen: Seen, feeds: Remembering) -> Draft:
        """The float model with balanced channels, where the layers' outputs gain enough by it."""
        plain = Draft(Balanced(self.model, layers, {}), {})
        if self.recipe.min_balance_gain_db is None:
            return plain
        shifts = choose_shifts(self.model, layers, seen)
        every = Draft(balance(self.model, layers, shifts), shifts)
        before, after = (
            self._probe(draft, self._table(draft, layers, seen, 0), feeds)
            for draft in (plain, every)
        )
        gains = {n: after[n] - before[n] for n in before}
        worth = {
            tensor: powers
            for tensor, powers in shifts.items()
            if _mean([gains[r.node] for r in layers if r.activation == tensor])
            >= self.recipe.min_balance_gain_db
        }
        balanced = Draft(balance(self.model, layers, worth), worth)
        self._check_unchanged(balanced.model, feeds)
        return balanced

    def _check_unchanged(self, balanced: Model, feeds: Remembering) -> None:
        """Powers of two are exact, so that anything else than rounding noise is a defect."""
        errors: dict[str, OutputError] = defaultdict(OutputError)
        with opened(self.backend, self.model) as one, opened(self.backend, balanced) as two:
            for feed in feeds.kept[:2]:
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

    def _table(
        self, draft: Draft, layers: tuple[Layer, ...], seen: Seen, count: int
    ) -> CalibrationTable:
        """Ranges of the draft's tensors; the factors only move what was counted before."""
        names = zip(draft.layers, layers, strict=True)
        counted = {
            new.activation: seen[old.activation].whole(draft.shifts.get(old.activation))
            for new, old in names
        }
        return make_table(counted, self.recipe.observer, count)

    def _probe(self, draft: Draft, table: CalibrationTable, feeds: Remembering) -> dict[str, float]:
        """INT8 noise of each layer's output by itself, in dB."""
        with opened(self.backend, probe_model(draft.model, table, draft.layers)) as session:
            return layer_sqnr_db(session, draft.model, draft.layers, feeds.kept)

    def _evidence(self, table: CalibrationTable, pictures: FeedSource, draft: Draft) -> Calibration:
        ranges = {n: Range(r.amax, r.largest, r.saturated) for n, r in table.ranges.items()}
        return Calibration(
            self.recipe_name,
            table.observer,
            pictures.source,
            pictures.samples,
            dict(pictures.skipped),
            ranges,
            draft.balanced.carriers,
        )


def _mean(gains: Sequence[float]) -> float:
    """Mean gain; layers without noise before or after (infinite figures) do not count."""
    finite = [gain for gain in gains if isfinite(gain)]
    return sum(finite) / len(finite) if finite else 0.0


def _precision(layer: Layer, in_float: bool, sqnr_db: float | None) -> LayerPrecision:
    finite = sqnr_db if sqnr_db is not None and abs(sqnr_db) != float("inf") else None
    precision: Precision = "fp32" if in_float else "int8"
    reason = f"in INT8 its output keeps {finite:.1f} dB of signal to noise" if in_float else ""
    return LayerPrecision(layer.node, layer.operator, precision, layer.macs, finite, reason)
