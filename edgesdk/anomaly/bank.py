"""Learns what good places look like, in memory that does not grow with the number of pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgesdk._progress import Progress
from edgesdk.anomaly.graph import Bank
from edgesdk.tensors import Floats

SAMPLED = 20_000
"""Descriptions that are kept to choose the bank from. With 912 numbers each they are 73 MB, and
with the covariance (7 MB) the most that a fit holds, however many pictures there are."""
PER_PICTURE = 64
"""Of each picture, where their number is not known beforehand."""
SEED = 6


class PlaceSampler:
    """Statistics over all places, and some of the places themselves."""

    def __init__(self, pictures: int | None) -> None:
        """`pictures` that will come; None: not known."""
        self._each = PER_PICTURE if pictures is None else -(-SAMPLED // max(pictures, 1))
        self._rng = np.random.default_rng(SEED)
        self._kept: list[Floats] = []
        self._count = 0
        self._free = SAMPLED
        self._sum: NDArray[np.float64] | float = 0.0
        self._products: NDArray[np.float64] | float = 0.0

    def add(self, description: Floats) -> None:
        """One picture's, shape (D, h, w)."""
        places = description.reshape(len(description), -1).T
        self._count += len(places)
        self._sum = self._sum + places.sum(axis=0, dtype=np.float64)
        self._products = self._products + (places.T @ places).astype(np.float64)
        number = min(self._each, len(places), self._free)
        chosen = self._rng.choice(len(places), number, replace=False)
        self._kept.append(places[chosen].copy())
        self._free -= number

    @property
    def kept(self) -> int:
        """Places that are held."""
        return sum(map(len, self._kept))

    def bank(self, components: int, size: int, progress: Progress) -> Bank:
        """Compression by all places, and at most `size` of the kept ones that cover the others."""
        mean = np.asarray(self._sum) / self._count
        covariance = np.asarray(self._products) / self._count - np.outer(mean, mean)
        basis = principal(covariance, components)
        short = (np.concatenate(self._kept) - mean.astype(np.float32)) @ basis
        steps = progress(range(size), "cover", size)
        return Bank(mean.astype(np.float32), basis, short[cover(short, steps)])


def principal(covariance: NDArray[np.float64], components: int) -> Floats:
    """The directions of largest variance, orthogonal, in units of the places' own spread; (D, P).

    P is `components`, or D where that is less. Distances stay what they are but for the variance
    that is left out: dividing each direction by its own deviation (whitening, PaDiM's Mahalanobis
    distance) told bad from good less well on one split of the magnetic tiles (decision 28).
    """
    variance, directions = np.linalg.eigh(covariance)
    largest = slice(None, -components - 1, -1)
    spread = np.sqrt(max(float(np.maximum(variance[largest], 0).mean()), 1e-12))
    basis: Floats = (directions[:, largest] / spread).astype(np.float32)
    return basis


def cover(points: Floats, steps: Iterable[int]) -> NDArray[np.int64]:
    """Indices of points so that every other is near one of them: greedy k-center.

    Always the point that is farthest from those taken (Gonzalez, "Clustering to minimize the
    maximum intercluster distance", 1985): at most twice the best possible radius. Fewer than
    there are `steps` where the points are fewer or alike. `points` (M, P).
    """
    energy = np.einsum("mp,mp->m", points, points)
    distance = np.full(len(points), np.inf, np.float32)
    nearest_to_mean = int(energy.argmin())
    chosen: list[int] = []
    farthest = nearest_to_mean
    for _ in steps:
        if distance[farthest] <= 0:
            break
        chosen.append(farthest)
        point = points[farthest]
        np.minimum(distance, energy - 2 * (points @ point) + energy[farthest], out=distance)
        distance[farthest] = 0
        farthest = int(distance.argmax())
    return np.array(chosen, np.int64)
