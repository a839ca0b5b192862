"""What decides how urgent a picture is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TriageSettings:
    """How probabilities become an order. Raises ValueError for a value out of range.

    The probabilities have to be calibrated: see `temperature` of the decoder "classes".
    """

    order: tuple[str, ...] = ()
    """All labels of the model, the most urgent first."""
    sure: float = 0.9
    """A picture whose likeliest label is less likely than this is uncertain: it stands out, and is
    never among those that may wait."""
    ruled_out: float = 0.05
    """A class less likely than this is ruled out. A picture is as urgent as the most urgent class
    that is not."""

    def __post_init__(self) -> None:
        if not 0.5 < self.sure <= 1:
            raise ValueError(f"sure should be above 0.5 and at most 1, found {self.sure:g}")
        if not 0 < self.ruled_out < 0.5:
            raise ValueError(
                f"ruled_out should be above 0 and below 0.5, found {self.ruled_out:g}:"
                " at 0 no class is ever ruled out"
            )
        if len(set(self.order)) < len(self.order):
            raise ValueError(f"order should name each label once, found {', '.join(self.order)}")
