"""What is known of a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgesdk.geometry import Placement

Array: TypeAlias = NDArray[Any]
"""Any numpy array; the docstring beside it says its shape and dtype."""
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and shape of one input or output."""

    name: str
    dtype: str
    """numpy's name of the element type, e.g. "float32"."""
    shape: tuple[int | str, ...]
    """Sizes; a text is the name of a size that is not fixed."""

    @property
    def is_static(self) -> bool:
        """True when every size is a number."""
        return all(isinstance(size, int) for size in self.shape)

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{'x'.join(map(str, self.shape))}]"


class Runner(Protocol):
    """Anything that turns named inputs into named outputs: a session, or a test's stand-in."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name."""
        ...


@runtime_checkable
class GivesOutputs(Protocol):
    """A runner whose outputs are the caller's: it does not write over them at the next run, so
    they can be read while it runs again."""

    gives_outputs: Literal[True]


@runtime_checkable
class RunsAtOnce(Protocol):
    """A runner whose `run` may be called from several threads at the same time, and gains by it."""

    runs_at_once: Literal[True]


class PictureRunner(Protocol):
    """Preprocesses where the model runs, and runs it."""

    def run_picture(self, image: NDArray[np.uint8]) -> tuple[dict[str, Array], Placement]:
        """Outputs by name for a picture, BGR uint8 of shape (H, W, 3), and where it lies in the
        model's input; the runner may own the outputs' memory."""
        ...


class FeedSource(Protocol):
    """Feeds in a fixed order: iterating twice gives the same ones, and memory does not grow."""

    @property
    def source(self) -> str:
        """Where they come from, for people."""
        ...

    @property
    def count(self) -> int | None:
        """How many feeds there are, unreadable ones included; None: not known beforehand."""
        ...

    @property
    def skipped(self) -> dict[str, str]:
        """Name -> why it could not be read, of those met so far."""
        ...

    @property
    def samples(self) -> int:
        """Pictures or samples in the feeds of the last whole iteration, repeats not counted."""
        ...

    def __iter__(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """(name, {input: tensor}) for each run of the model; tensors are the caller's.

        Raises DataError, after the last, when nothing can be learned from them.
        """
        ...

    def thinned(self, limit: int) -> FeedSource:
        """At most about `limit` pictures or samples, evenly spread."""
        ...

    def digest(self) -> str:
        """SHA-256 over names and tensors, for caches. It reads everything once."""
        ...
