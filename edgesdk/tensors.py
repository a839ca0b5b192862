"""What is known of a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
