"""The noun `Finding`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["problem", "warning", "info"]
"""problem: the bundle should not be used as it is. warning: look before it is used. info: to
know."""

SHOWN = 4
"""Names in one finding; the rest is counted."""


@dataclass(frozen=True)
class Finding:
    """One thing that the evidence of a build says."""

    id: str
    """Short and stable, e.g. "preprocessing-range"."""
    severity: Severity
    found: str
    """With its numbers."""
    means: str
    do: str
    tensors: tuple[str, ...] = ()
    """Tensors, layers or output groups that it is about."""
    pictures: tuple[str, ...] = ()


def named(names: tuple[str, ...] | list[str]) -> str:
    """The first few names and how many more there are."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it has to be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
