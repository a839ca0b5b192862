"""The INT8 steps of a build: calibrate, probe the layers, choose, write Q/DQ."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk._progress import Progress
from edgesdk.backends import Backend, opened
from edgesdk.build.feeds import Feeds
from edgesdk.bundle import Calibration, LayerPrecision, Precision, Range
from edgesdk.calibration import CalibrationTable, Recipe, collect
from edgesdk.calibration.table import make_table
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.pictures import PictureSet
from edgesdk.preprocess import Preprocess
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


@dataclass(frozen=True)
class Quantizer:
    """Makes a prepared float32 model INT8, with one pass over the pictures."""

    model: Model
    preprocess: Preprocess
    recipe_name: str
    recipe: Recipe
    backend: Backend
    progress: Progress

    def run(self, pictures: PictureSet) -> Quantized:
        """Calibrate, probe the layers, choose and write.

        Raises ModelError for a model without a layer that can be INT8, and DataError for
        pictures that calibration cannot learn from.
        """
        pictures = pictures.thinned(self.recipe.max_pictures)
        layers = find_layers(self.model, self.recipe.operators)
        if not layers:
            operators = ", ".join(self.recipe.operators)
            raise ModelError(
                f"the model has none of the operators that run in INT8: {operators}",
                "build it with --precision fp16",
            )
        name = self.model.inputs[0].name
        feeds = Feeds(pictures, self.preprocess, name, self.recipe.probe_pictures)
        table = self._calibrate(layers, feeds, pictures.count)
        noise = self._probe(layers, table, feeds)
        in_float = keep_in_float(layers, noise, self.recipe)
        chosen = [layer for layer in layers if layer not in in_float]
        return Quantized(
            write_qdq(self.model, table, chosen),
            tuple(_precision(layer, layer in in_float, noise.get(layer.node)) for layer in layers),
            self._evidence(table, pictures),
        )

    def _calibrate(
        self, layers: tuple[Layer, ...], feeds: Feeds, total: int | None
    ) -> CalibrationTable:
        watch = list(dict.fromkeys(layer.activation for layer in layers))
        with opened(self.backend, with_outputs(self.model, watch)) as session:
            tracked = self.progress(feeds, "calibrate", total)
            histograms, count = collect(session, watch, tracked)
        feeds.check()
        return make_table(histograms, self.recipe.observer, count)

    def _probe(
        self, layers: tuple[Layer, ...], table: CalibrationTable, feeds: Feeds
    ) -> dict[str, float]:
        """INT8 noise by layer; empty when the recipe has no use for it."""
        if self.recipe.min_layer_sqnr_db is None:
            return {}
        with opened(self.backend, probe_model(self.model, table, layers)) as session:
            return layer_sqnr_db(session, self.model, layers, feeds.kept)

    def _evidence(self, table: CalibrationTable, pictures: PictureSet) -> Calibration:
        ranges = {n: Range(r.amax, r.largest, r.saturated) for n, r in table.ranges.items()}
        skipped = dict(pictures.skipped)
        return Calibration(
            self.recipe_name, table.observer, pictures.source, table.pictures, skipped, ranges
        )


def _precision(layer: Layer, in_float: bool, sqnr_db: float | None) -> LayerPrecision:
    finite = sqnr_db if sqnr_db is not None and abs(sqnr_db) != float("inf") else None
    precision: Precision = "fp32" if in_float else "int8"
    reason = f"in INT8 its output keeps {finite:.1f} dB of signal to noise" if in_float else ""
    return LayerPrecision(layer.node, layer.operator, precision, layer.macs, finite, reason)
