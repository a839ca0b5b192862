"""How long work reports its progress, without knowing to whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Wraps the items of a long loop and shows how far it is."""

    def __call__(self, items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
        """The same items. `total` None: not known beforehand."""
        ...


def silent(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    """Shows nothing."""
    return iter(items)
