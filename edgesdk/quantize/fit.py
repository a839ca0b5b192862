"""Choosing for each tensor what costs its layers least: balanced channels, range, rounded weights.

Everything is judged by the layers' own outputs, at sampled places of some pictures. A correction is
chosen on one part of the pictures and kept only if it helps on the other part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.calibration.histogram import Ints
from edgesdk.calibration.observers import Observer
from edgesdk.calibration.recipe import Recipe
from edgesdk.calibration.statistics import TensorStatistics
from edgesdk.quantize.int8 import fake_quantize, round_weight, weight_scales
from edgesdk.quantize.layers import Layer
from edgesdk.quantize.matrix import (
    as_matrix,
    column_factors,
    from_matrix,
    output_channels,
    row_scales,
)
from edgesdk.quantize.qdq import Corrected
from edgesdk.quantize.rounding import WIDEST, round_to_output
from edgesdk.quantize.samples import Samples
from edgesdk.tensors import Floats

RANGES = (0.55, 0.7, 0.85, 1.2, 1.5)
"""Ranges tried beside the observer's, as multiples of it."""
LEAST_GAIN_DB = 0.1
"""What a correction must bring on pictures that it was not chosen on."""
ROUNDING = 1e-12
"""Of an output's energy: variance below this is float32's own rounding, not signal or noise."""

ScaleForm = Callable[[Floats], Floats]


def as_it_is(scales: Floats) -> Floats:
    """Any float32 will do."""
    return scales


class Read:
    """One layer that reads the tensor, with what it gives in float."""

    def __init__(
        self,
        layer: Layer,
        weight: Floats,
        samples: Samples,
        form: ScaleForm = as_it_is,
        biased: bool = True,
    ) -> None:
        """`form` makes of a scale one that the graph can hold.

        `biased`: a bias will carry what INT8 takes from the mean of an output, so that only its
        variation counts; without one the mean counts as any other error.
        """
        self.layer, self.weight, self.samples, self.form = layer, weight, samples, form
        self.biased = biased
        turned = np.swapaxes(as_matrix(weight, layer), 1, 2)
        self.exact = {False: samples.fit @ turned, True: samples.judge @ turned}
        """Float outputs (groups, places, rows), by whether these places judge."""


@dataclass(frozen=True)
class Rules:
    """How to choose."""

    recipe: Recipe
    observer: Observer
    """The recipe's."""


@dataclass(frozen=True, eq=False)
class LayerFit:
    """What one layer gets."""

    corrected: Corrected
    """Its weight rounded, and what to add to its bias (zeros where nothing is gained)."""
    sqnr_db: float
    """Signal to noise of the layer's own output on the judging pictures; means that a bias carries
    taken out."""
    corrections: tuple[str, ...]
    """Of "rounding" and "bias": those that helped."""


@dataclass(frozen=True, eq=False)
class TensorFit:
    """What one tensor and the layers that read it get."""

    shifts: Ints | None
    """Power of two for each channel; None: not balanced."""
    amax: float
    gain_db: float
    """What balancing brings to the layers' outputs, 0 where it is not done."""
    layers: dict[str, LayerFit]
    """By node."""


def fit_tensor(
    reads: Sequence[Read],
    seen: TensorStatistics,
    candidates: Sequence[Ints],
    folds: bool,
    rules: Rules,
) -> TensorFit:
    """Choose for the tensor that all of `reads` read.

    `candidates` are ways to balance its channels; `folds` says that a factor would cost no
    operator.
    """
    plain = _Trial(None, rules.observer.amax(seen.whole()))
    best = plain
    noise = before = _noise(reads, plain)
    for shifts in candidates:
        trial = _Trial(shifts, rules.observer.amax(seen.whole(shifts)))
        found = _noise(reads, trial)
        if found < noise:
            best, noise = trial, found
    if best is not plain:
        gain = _db(_noise(reads, plain, judge=True), _noise(reads, best, judge=True))
        wanted = LEAST_GAIN_DB if folds else rules.recipe.min_balance_gain_db or 0.0
        if gain < wanted:
            best, noise = plain, before
    gain = _db(before, noise) if best is not plain else 0.0
    if rules.recipe.search_ranges:
        best = _with_range(reads, best, noise, seen.whole(best.shifts).largest)
    layers = {read.layer.node: _fit_layer(read, best, rules.recipe) for read in reads}
    return TensorFit(best.shifts, best.amax, gain, layers)


def fit_with(reads: Sequence[Read], amax: float, recipe: Recipe) -> TensorFit:
    """Fit the layers to a range that is decided already; no channel is balanced."""
    trial = _Trial(None, amax)
    layers = {read.layer.node: _fit_layer(read, trial, recipe) for read in reads}
    return TensorFit(None, amax, 0.0, layers)


def noise_with(read: Read, amax: float) -> float:
    """Noise over signal of a layer's output on the choosing pictures, with this range."""
    return _share(read, False, _int8_outputs(read, _Trial(None, amax), judge=False))


@dataclass(frozen=True, eq=False)
class _Trial:
    shifts: Ints | None
    amax: float


def _with_range(reads: Sequence[Read], trial: _Trial, noise: float, largest: float) -> _Trial:
    best = trial
    for factor in RANGES:
        other = replace(trial, amax=min(trial.amax * factor, largest))
        found = _noise(reads, other) if other.amax > 0 else np.inf
        if found < noise:
            best, noise = other, found
    if best is trial:
        return trial
    gain = _db(_noise(reads, trial, judge=True), _noise(reads, best, judge=True))
    return best if gain >= LEAST_GAIN_DB else trial


def _noise(reads: Sequence[Read], trial: _Trial, judge: bool = False) -> float:
    """Noise over signal of the outputs, weights rounded to nearest; mean over the layers."""
    shares = []
    for read in reads:
        shares.append(_share(read, judge, _int8_outputs(read, trial, judge)))
    return float(np.mean(shares))


def _int8_outputs(
    read: Read, trial: _Trial, judge: bool, stored: NDArray[np.int8] | None = None
) -> Floats:
    """Outputs in INT8, (groups, places, rows); without `stored`, weights rounded to nearest."""
    values = read.samples.judge if judge else read.samples.fit
    inputs = fake_quantize(_scaled(read, trial, values), trial.amax)
    weight, scales = _balanced_weight(read, trial)
    if stored is None:
        stored = round_weight(weight, scales, read.layer.axis)
    rows = row_scales(scales, read.layer, read.weight.shape)
    levels = as_matrix(stored, read.layer).astype(np.float32) * rows[:, :, None]
    outputs: Floats = inputs @ np.swapaxes(levels, 1, 2)
    return outputs


def _scaled(read: Read, trial: _Trial, values: Floats) -> Floats:
    if trial.shifts is None:
        return values
    factors = np.ldexp(np.float32(1), trial.shifts).astype(np.float32)
    return values * column_factors(factors, read.layer, values.shape[2])


def _balanced_weight(read: Read, trial: _Trial) -> tuple[Floats, Floats]:
    """The float weight that meets the balanced tensor, and its scales."""
    weight = read.weight
    if trial.shifts is not None:
        matrix = as_matrix(weight, read.layer)
        factors = np.ldexp(np.float32(1), -trial.shifts).astype(np.float32)
        moved = matrix * column_factors(factors, read.layer, matrix.shape[2])
        weight = from_matrix(moved, read.layer, weight.shape)
    return weight, read.form(weight_scales(weight, read.layer.axis))


def _fit_layer(read: Read, trial: _Trial, recipe: Recipe) -> LayerFit:
    weight, scales = _balanced_weight(read, trial)
    stored = round_weight(weight, scales, read.layer.axis)
    judged = _int8_outputs(read, trial, True, stored)
    done: list[str] = []
    if recipe.round_weights and as_matrix(weight, read.layer).shape[2] <= WIDEST:
        rounded = _rounded(read, trial, weight, scales)
        found = _int8_outputs(read, trial, True, rounded)
        if _share(read, True, found) < _share(read, True, judged):
            stored, judged, done = rounded, found, ["rounding"]
    missing = _missing(read, True, judged)
    bias = np.zeros_like(missing)
    if read.biased and recipe.correct_bias:
        fitted = _missing(read, False, _int8_outputs(read, trial, False, stored))
        if np.square(missing - fitted).sum() < np.square(missing).sum():
            bias, done = fitted, [*done, "bias"]
    corrected = Corrected(stored, weight_scales(weight, read.layer.axis), scales, bias)
    return LayerFit(corrected, _db(1.0, _share(read, True, judged)), tuple(done))


def _rounded(read: Read, trial: _Trial, weight: Floats, scales: Floats) -> NDArray[np.int8]:
    inputs = fake_quantize(_scaled(read, trial, read.samples.fit), trial.amax)
    if read.biased:
        inputs -= inputs.mean(axis=1, keepdims=True)
    rows = row_scales(scales, read.layer, weight.shape)
    found = round_to_output(as_matrix(weight, read.layer), rows, inputs)
    rounded: NDArray[np.int8] = from_matrix(found, read.layer, weight.shape)
    return rounded


def _missing(read: Read, judge: bool, found: Floats) -> Floats:
    """By how much the INT8 output is too small on average, for each output channel."""
    rows = (read.exact[judge] - found).mean(axis=1)
    return output_channels(rows, read.layer, read.weight.shape).astype(np.float32)


def _share(read: Read, judge: bool, found: Floats) -> float:
    """Energy of the error over the variance of the output; means that a bias carries taken out."""
    exact = read.exact[judge]
    wrong = exact - found
    least = ROUNDING * _energy(exact)
    noise = _variance(wrong) if read.biased else _energy(wrong)
    signal = _variance(exact)
    if noise <= least:
        return 0.0
    return noise / signal if signal > least else np.inf


def _variance(outputs: Floats) -> float:
    return float(np.var(outputs, axis=1).sum(dtype=np.float64))


def _energy(outputs: Floats) -> float:
    return float(np.square(outputs).mean(axis=1).sum(dtype=np.float64))


def _db(before: float, after: float) -> float:
    """By how many dB `after` is less."""
    if before == after:
        return 0.0
    if after == 0 or before == np.inf:
        return float("inf")
    return 10 * float(np.log10(before / after)) if before and after < np.inf else float("-inf")
