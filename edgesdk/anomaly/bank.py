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
NEIGHBOURS = 5
"""Places of other runs whose mean squared distance is usual for an entry: one alone is chance."""
ROWS = 200
"""Entries whose distances to all kept places are held at once: 16 MB."""


class PlaceSampler:
    """Statistics over all places, and some of the places themselves."""

    def __init__(self, pictures: int | None) -> None:
        """`pictures` that will come; None: not known."""
        self._each = PER_PICTURE if pictures is None else -(-SAMPLED // max(pictures, 1))
        self._rng = np.random.default_rng(SEED)
        self._kept: list[Floats] = []
        self._runs: list[NDArray[np.int64]] = []
        self._count = 0
        self._free = SAMPLED
        self._sum: NDArray[np.float64] | float = 0.0
        self._products: NDArray[np.float64] | float = 0.0

    def add(self, description: Floats, run: int) -> None:
        """One picture's, shape (D, h, w); pictures of one `run` may show the same part."""
        places = description.reshape(len(description), -1).T
        self._count += len(places)
        self._sum = self._sum + places.sum(axis=0, dtype=np.float64)
        self._products = self._products + (places.T @ places).astype(np.float64)
        number = min(self._each, len(places), self._free)
        chosen = self._rng.choice(len(places), number, replace=False)
        self._kept.append(places[chosen].copy())
        self._runs.append(np.full(number, run, np.int64))
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
        chosen = cover(short, progress(range(size), "cover", size))
        usual = usual_distances(short, np.concatenate(self._runs), chosen)
        return Bank(mean.astype(np.float32), basis, short[chosen], usual)


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


def usual_distances(points: Floats, runs: NDArray[np.int64], chosen: NDArray[np.int64]) -> Floats:
    """How far good places of other runs are from each of the `chosen`: shape (B,), squared.

    The mean of the nearest few, over the P components. Where all points are of one run nothing is
    known, and it is 0. `points` (M, P), `runs` (M,).
    """
    energy = np.einsum("mp,mp->m", points, points)
    usual = np.zeros(len(chosen), np.float32)
    for start in range(0, len(chosen), ROWS):
        rows = chosen[start : start + ROWS]
        apart = energy[rows, None] + energy - 2 * (points[rows] @ points.T)
        apart[runs[rows, None] == runs] = np.inf
        least = np.partition(apart, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        least = np.maximum(least, 0) / points.shape[1]
        usual[start : start + ROWS] = np.where(
            np.isfinite(least).all(axis=1), least.mean(axis=1), 0
        )
    return usual


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
