"""What is asked of a fit, and what came out."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.accuracy.false_rejects import Threshold
from edgesdk.errors import UsageError
from edgesdk.model import Model
from edgesdk.preprocess import Preprocess
from edgesdk.spec import ModelSpec

MOST_SHARE = 0.5
"""Of the pictures that may set the threshold: the bank needs the others."""


@dataclass(frozen=True)
class Backbone:
    """A trained net whose inner layers describe pictures; what it was trained for is no matter."""

    model: Model
    preprocess: Preprocess
    """How its pictures are prepared, and at which size."""


@dataclass(frozen=True)
class FitSettings:
    """How good parts are learned. Raises UsageError for a value out of range."""

    layers: tuple[str, ...] = ()
    """Tensors of the backbone that describe a place of the picture; empty: those of
    strides 8 and 16, or 16 and 32 where pictures are higher than 256 pixels."""
    bank: int = 1000
    """Descriptions of good places that are kept: memory and time of the board grow with it."""
    components: int = 96
    """Numbers that describe a place: the principal components of what the layers say."""
    false_rejects: float = 0.005
    """Share of good parts, 0..1, that the threshold may turn down."""
    held_out: float = 0.3
    """Share of the good pictures, 0..0.5, that set the threshold and are not in the bank."""
    blocks: int = 20
    """Neighbouring pictures are alike, so whole runs of them are held out, of so many in all."""

    def __post_init__(self) -> None:
        _check("bank", self.bank, 1, 100_000)
        _check("components", self.components, 1, 1024)
        _check("blocks", self.blocks, 2, 1000)
        _check("false_rejects", self.false_rejects, 1e-6, MOST_SHARE)
        _check("held_out", self.held_out, 0.01, MOST_SHARE)


@dataclass(frozen=True, eq=False)
class Fitted:
    """One graph from a picture to its score and heat, and what has to be known beside it."""

    model: Model
    """Inputs as the backbone's; outputs `score` (N,) and `heat` (N, 1, h, w), float32."""
    spec: ModelSpec
    """With the decoder "anomaly" and its threshold."""
    threshold: Threshold
    layers: tuple[str, ...]
    """Those that were taken."""
    pictures: int
    """In the bank."""
    bank: int
    """Descriptions that were kept."""
    skipped: dict[str, str]
    """Picture -> why it could not be read."""


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} should be {low:g} to {high:g}, found {value:g}")
