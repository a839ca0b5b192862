"""Two disjoint parts of a set of pictures: one to search on, one to verify on."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk._digest import sha256_bytes


def split(names: Sequence[str], share: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices of a first part with `share` (0..1) of the pictures, and of the rest; ascending.

    Who goes where follows from the pictures' names alone, not from their order. Each part gets
    at least one picture where there are two. Raises ValueError for a share beyond 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share should be 0..1, found {share}")
    ranked = sorted(range(len(names)), key=lambda i: (sha256_bytes(names[i].encode()), i))
    count = round(share * len(names))
    if len(names) > 1 and 0 < share < 1:
        count = min(max(count, 1), len(names) - 1)
    return tuple(sorted(ranked[:count])), tuple(sorted(ranked[count:]))
