"""Hands ranges over to TensorRT 8.5 to 10 for implicit INT8: no picture is ever asked for.

The builder uses `make_calibrator`: a cache through IInt8EntropyCalibrator2 is what NVIDIA documents
for DLA ("the required calibrator for DLA", NvInfer.h), and what trtexec and nvinfer do with the
exported file, so all three build from the same bytes. `set_ranges` writes the same ranges into the
network's tensors, for a TensorRT that refuses the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from edgesdk.backends.tensorrt.api import until_ten
from edgesdk.backends.tensorrt.version import WEAKLY_TYPED_BEFORE, Version
from edgesdk.calibration.tensorrt_cache import cache_text, parse_cache, version_number
from edgesdk.errors import BackendError, ConfigError


class RangeCalibrator(until_ten.IInt8EntropyCalibrator2, Protocol):
    """A calibrator that has ranges and no pictures."""

    refused: bool
    """TensorRT asked for pictures, or wrote ranges of its own: it did not take the cache, and what
    it builds is not what was asked for."""


def make_calibrator(trt: until_ten.TensorRT, ranges: Mapping[str, float]) -> RangeCalibrator:
    """A calibrator with these ranges (tensor -> amax) for this TensorRT.

    The caller keeps it until the engine is built, then looks at `refused`. Raises BackendError for
    TensorRT 11, which has no calibrators, and ModelError for ranges that no cache can hold.
    """
    version = Version.parse(trt.__version__)
    if version >= WEAKLY_TYPED_BEFORE:
        raise BackendError(
            f"TensorRT {version} has no calibrators: it takes INT8 from Q/DQ in the graph only",
            "build the engine from the bundle's own graph, without implicit INT8",
        )
    number = version_number(version.major, version.minor, version.patch)
    cache = cache_text(ranges, number).encode()

    # TensorRT's class is known only when the program runs.
    class Ranges(trt.IInt8EntropyCalibrator2):  # type: ignore[name-defined, misc]
        """Answers with the cache, and notes when something else is asked."""

        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.refused = False
            self._cache = cache  # TensorRT reads it in place

        def get_batch_size(self) -> int:
            """One, whatever the engine's own: there are no pictures."""
            return 1

        def get_batch(self, names: Sequence[str]) -> None:
            """None: there are no pictures."""
            del names
            self.refused = True

        def read_calibration_cache(self) -> bytes:
            """The ranges in TensorRT's format, with the header of its own version."""
            return self._cache

        def write_calibration_cache(self, cache: bytes) -> None:
            """What TensorRT would keep; other ranges than ours are its own."""
            self.refused = self.refused or not _holds(bytes(cache), self._cache)

    calibrator: RangeCalibrator = Ranges()
    return calibrator


def _holds(found: bytes, given: bytes) -> bool:
    """Whether a cache has all the ranges that were given, in whatever order and with what else."""
    try:
        ranges = parse_cache(found, "TensorRT's cache").ranges
    except ConfigError:
        return False
    return parse_cache(given, "our cache").ranges.items() <= ranges.items()


def set_ranges(
    network: until_ten.INetworkDefinition, ranges: Mapping[str, float]
) -> tuple[str, ...]:
    """Write the ranges into a parsed network; returns those tensors that it does not have."""
    left = dict(ranges)
    layers = (network.get_layer(i) for i in range(network.num_layers))
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    tensors += [layer.get_output(i) for layer in layers for i in range(layer.num_outputs)]
    for tensor in tensors:
        amax = left.pop(tensor.name, None)
        if amax is not None:
            tensor.set_dynamic_range(-amax, amax)
    return tuple(left)
