"""From a picture to the model's outputs without leaving the GPU in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesdk.backends.tensorrt.cuda import Cuda, Stream
from edgesdk.backends.tensorrt.kernels import GpuPreprocess
from edgesdk.errors import BackendError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, TensorSpec

Fill = Callable[[int, Stream], object]
"""Writes one input: takes its address on the device and the stream to put the work on."""


class Filling(Protocol):
    """A session whose inputs can be written on the GPU."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it wants."""
        ...

    def run_with(self, fills: Mapping[str, Fill]) -> dict[str, Array]:
        """Run on what `fills` write."""
        ...


class GpuPictures:
    """Preprocessing and inference on one stream; as the session, for one thread at a time."""

    def __init__(
        self,
        session: Filling,
        cuda: Cuda,
        preprocess: Preprocess,
        kernels: bytes | None = None,
    ) -> None:
        """`kernels` is their cubin; None compiles them, or takes them from the cache.

        Raises BackendError for a model that does not take one picture of this size, for an input
        that is neither float32 nor float16, and without a CUDA compiler.
        """
        spec = picture_input(session.inputs, preprocess)
        self._session = session
        self._name = spec.name
        self._prepare = GpuPreprocess(preprocess, cuda, spec.dtype, kernels)

    def run_picture(self, image: NDArray[np.uint8]) -> tuple[dict[str, Array], Placement]:
        """Outputs, and where the picture lies in the input; outputs are the session's."""
        height, width = image.shape[:2]
        outputs = self._session.run_with({self._name: partial(self._prepare, image)})
        return outputs, self._prepare.preprocess.placement(width, height)

    def close(self) -> None:
        """Free the kernels and the picture's memory. Twice is harmless."""
        self._prepare.close()


def picture_input(inputs: tuple[TensorSpec, ...], preprocess: Preprocess) -> TensorSpec:
    """The input that takes a picture. Raises BackendError where that is not the only one."""
    shape = (1, 3, preprocess.height, preprocess.width)
    if len(inputs) == 1 and inputs[0].shape == shape:
        return inputs[0]
    found = ", ".join(map(str, inputs))
    raise BackendError(
        f"the GPU prepares one input of shape {'x'.join(map(str, shape))}, found {found}"
    )
