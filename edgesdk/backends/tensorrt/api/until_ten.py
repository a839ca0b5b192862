"""What TensorRT 8.5 to 10 have and 11 has not."""

from __future__ import annotations

from typing import Protocol

from edgesdk.backends.tensorrt.api.always import Flag

# Building


class BuilderFlag(Protocol):
    """Precisions that a weakly typed network may use."""

    INT8: Flag
    FP16: Flag
    OBEY_PRECISION_CONSTRAINTS: Flag


class NetworkDefinitionCreationFlag(Protocol):
    """Kinds of networks."""

    EXPLICIT_BATCH: Flag
    """The only kind that the ONNX parser fills; 10 and later know no other."""


class IInt8Calibrator(Protocol):
    """Hands over ranges."""


class IBuilderConfig(Protocol):
    """How a weakly typed network is built."""

    int8_calibrator: IInt8Calibrator


class ILayer(Protocol):
    """One layer of a weakly typed network."""

    precision: Flag

    def set_output_type(self, index: int, dtype: Flag) -> None:
        """Hold an output to a type."""
        ...
