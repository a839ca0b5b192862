"""Recipes: how to calibrate and what to do about layers that suffer. One TOML file each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk import _config
from edgesdk._resources import data_folders
from edgesdk.calibration.observers import ObserverName
from edgesdk.errors import UnknownName


@dataclass(frozen=True)
class Recipe:
    """The settings of calibration/NAME.toml."""

    title: str
    """One line for people."""
    observer: ObserverName
    """minmax never saturates; mse weighs rounding against saturation."""
    max_pictures: int = 1000
    """Of a larger set, so many evenly spread pictures are taken."""
    operators: tuple[str, ...] = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    """Operators whose inputs become INT8 (TensorRT's own INT8 operators)."""
    min_balance_gain_db: float | None = None
    """Channels of a tensor are balanced where its layers' outputs gain at least this; left out:
    nowhere."""
    search_ranges: bool = False
    """Ranges beside the observer's are tried against the outputs of the layers."""
    round_weights: bool = False
    """Weights are rounded for the least error of the layer's output (GPTQ), not to nearest."""
    correct_bias: bool = False
    """What INT8 adds to the mean of a channel is taken out by the bias."""
    min_layer_sqnr_db: float | None = None
    """A layer whose own output falls below this in INT8 stays in float; left out: none does."""
    max_float_share: float = 0.05
    """At most this share of the multiply-accumulates, 0..1, stays in float, worst layers first."""
    probe_pictures: int = 8
    """How many pictures the layers' errors are measured on."""

    def __post_init__(self) -> None:
        unknown = sorted({*self.operators} - {"Conv", "ConvTranspose", "Gemm", "MatMul"})
        if unknown:
            raise ValueError(f"operators that have no INT8 form here: {', '.join(unknown)}")
        if self.max_pictures < 1 or self.probe_pictures < 1:
            raise ValueError("max_pictures and probe_pictures should be 1 or more")
        if not 0 <= self.max_float_share <= 1:
            raise ValueError(f"max_float_share should be 0..1, found {self.max_float_share}")


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
