"""Recipes: how to calibrate and what to do about layers that suffer. One TOML file each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk import _config
from edgesdk._resources import data_folders
from edgesdk.calibration.observers import PERCENTILE, ObserverName
from edgesdk.errors import UnknownName

RulesName = Literal["gpu", "dla"]


@dataclass(frozen=True)
class Recipe:
    """The settings of calibration/NAME.toml."""

    title: str
    """One line for people."""
    observer: ObserverName
    """minmax never saturates; mse weighs rounding against saturation; entropy is TensorRT's."""
    percentile: float = PERCENTILE
    """For the observer percentile: the share of the values, 0..100, that does not saturate."""
    max_pictures: int = 1000
    """Of a larger set, so many evenly spread pictures are taken."""
    fit_pictures: int = 24
    """Corrections are fitted to so many of them and judged by every fourth."""
    operators: tuple[str, ...] = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    """Operators whose inputs become INT8 (TensorRT's own INT8 operators)."""
    rules: RulesName = "gpu"
    """Where pairs go beside those inputs: as TensorRT's GPU kernels fuse, or as DLA wants them."""
    min_balance_gain_db: float | None = None
    """Channels of a tensor are balanced where its layers' outputs gain at least this and a Mul
    carries the factors; where they fold away, any gain will do. Left out: nowhere."""
    allow_mul: bool = True
    """False: channels are balanced only where their factors fold away into the graph."""
    share_scales: bool = True
    """Tensors that INT8 moves between unchanged (through Concat, MaxPool, Reshape...) get one scale
    where that costs their layers little. With the rules of DLA they always do."""
    search_ranges: bool = False
    """Ranges beside the observer's are tried against the outputs of the layers."""
    round_weights: bool = False
    """Weights are rounded for the least error of the layer's output (GPTQ), not to nearest."""
    correct_bias: bool = False
    """What INT8 adds to the mean of a channel is taken out by the bias."""
    min_output_sqnr_db: float | None = None
    """Where the outputs (mean over their groups) fall below this, layers that ruin them stay in
    float, as far as `max_float_share` allows; left out: none does."""
    max_float_share: float = 0.02
    """At most this share of the multiply-accumulates, 0..1, stays in float so."""
    max_drop: float | None = None
    """Accuracy target, as a share 0..1 of the float model's figure; left out: none. A target
    given with the build goes before it."""

    def __post_init__(self) -> None:
        unknown = sorted({*self.operators} - {"Conv", "ConvTranspose", "Gemm", "MatMul"})
        if unknown:
            raise ValueError(f"operators that have no INT8 form here: {', '.join(unknown)}")
        if self.max_pictures < 1 or self.fit_pictures < 1:
            raise ValueError("max_pictures and fit_pictures should be 1 or more")
        if not 0 < self.percentile <= 100:
            raise ValueError(f"percentile should be in 0..100, found {self.percentile}")
        if not 0 <= self.max_float_share <= 1:
            raise ValueError(f"max_float_share should be 0..1, found {self.max_float_share}")
        if self.rules == "dla" and self.allow_mul:
            raise ValueError(
                'rules = "dla" wants allow_mul = false: a Mul is one more operator there'
            )
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise ValueError(f"max_drop should be 0..1, found {self.max_drop}")


def recipe_names() -> tuple[str, ...]:
    """All recipes at hand."""
    return tuple(sorted(_files()))


def load_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises UnknownName with the nearest ones."""
    files = _files()
    if name not in files:
        raise UnknownName("calibration recipe", name, files)
    return _config.read(Recipe, files[name])


def _files() -> dict[str, Path]:
    folders = data_folders("calibration")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}
