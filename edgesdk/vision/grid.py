"""The grids of cells that a detector's head lies on."""

from __future__ import annotations


def cell_count(width: int, height: int, strides: tuple[int, ...]) -> int:
    """Cells of all grids over an input of so many pixels; a last, cut cell counts."""
    return sum(-(-width // stride) * -(-height // stride) for stride in strides)
