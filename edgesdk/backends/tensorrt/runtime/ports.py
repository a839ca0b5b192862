"""An engine's inputs and outputs: their specs, and what cannot be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.api.always.running import ICudaEngine
from edgesdk.backends.tensorrt.settings import ShapeRange
from edgesdk.errors import BackendError
from edgesdk.tensors import Array, TensorSpec

Shape = tuple[int, ...]
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
"""TensorRT's name -> numpy's; other types have no counterpart in numpy."""
UNKNOWN = "?"
"""Size of an output that depends on the inputs' sizes."""


@dataclass(frozen=True)
class Port:
    """One input or output."""

    spec: TensorSpec
    """A size that varies is written as its range, "1..8"; for outputs it is "?"."""
    largest: Shape
    """What `spec` allows at most; for outputs of varying size: with -1, not known yet."""
    range: ShapeRange | None = None
    """Of an input of varying size."""

    @property
    def name(self) -> str:
        """TensorRT's and the graph's name."""
        return self.spec.name

    def check(self, value: Array) -> None:
        """Raise BackendError unless each size is within the range; the rank is right already."""
        if self.range is None:
            return
        low, high = self.range.min, self.range.max
        if not all(a <= n <= b for a, n, b in zip(low, value.shape, high, strict=True)):
            raise BackendError(
                f"the input should be {self.spec}, found {'x'.join(map(str, value.shape))}",
                f"the engine was built for shapes from {_text(low)} to {_text(high)}: "
                "build it for a wider shape range",
            )


def read_ports(trt: TensorRT, engine: ICudaEngine) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs, in the engine's order.

    Raises BackendError for tensors that edgesdk cannot feed: types that numpy lacks, vectorized
    formats, and shapes that are given as values in the host's memory.
    """
    inputs, outputs = [], []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        _check(trt, engine, name)
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            inputs.append(_input(engine, name))
        else:
            shape = tuple(engine.get_tensor_shape(name))
            sizes = tuple(UNKNOWN if size < 0 else size for size in shape)
            outputs.append(Port(TensorSpec(name, _dtype(engine, name), sizes), shape))
    return tuple(inputs), tuple(outputs)


def nbytes(spec: TensorSpec, shape: Shape) -> int:
    """Of a tensor of that type and shape."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(spec.dtype).itemsize


def shapes_of(feeds: Mapping[str, Array]) -> dict[str, Shape]:
    """By input."""
    return {name: tuple(value.shape) for name, value in feeds.items()}


def _input(engine: ICudaEngine, name: str) -> Port:
    shape, dtype = tuple(engine.get_tensor_shape(name)), _dtype(engine, name)
    if -1 not in shape:
        return Port(TensorSpec(name, dtype, shape), shape)
    low, opt, high = (tuple(dims) for dims in engine.get_tensor_profile_shape(name, 0))
    sizes = tuple(
        size if size >= 0 else f"{a}..{b}" for size, a, b in zip(shape, low, high, strict=True)
    )
    return Port(TensorSpec(name, dtype, sizes), high, ShapeRange(low, opt, high))


def _check(trt: TensorRT, engine: ICudaEngine, name: str) -> None:
    if engine.get_tensor_dtype(name).name not in DTYPES:
        raise BackendError(
            f"{name!r} is of TensorRT's type {engine.get_tensor_dtype(name).name}, "
            "which numpy does not have",
            "end the graph with a Cast to float32",
        )
    if engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
        raise BackendError(
            f"{name!r} has TensorRT's format {engine.get_tensor_format(name).name}, not LINEAR",
            "build the engine with edgesdk, or without --inputIOFormats and --outputIOFormats",
        )
    if engine.get_tensor_location(name) != trt.TensorLocation.DEVICE:
        raise BackendError(
            f"{name!r} is a shape that is given as a value, which edgesdk cannot run",
            "export the model with fixed shapes",
        )


def _dtype(engine: ICudaEngine, name: str) -> str:
    return DTYPES[engine.get_tensor_dtype(name).name]


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
