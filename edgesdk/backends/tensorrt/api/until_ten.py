"""What TensorRT 8.5 to 10 have and 11 has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from edgesdk.backends.tensorrt.api.always import Flag

if TYPE_CHECKING:  # attributes of the module are named like their own types
    from edgesdk.backends.tensorrt.api import until_ten  # noqa: PLW0406


class TensorRT(Protocol):
    """The module `tensorrt`."""

    __version__: str
    # Listening
    IInt8EntropyCalibrator2: type[until_ten.IInt8EntropyCalibrator2]


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


class IBuilderConfig(Protocol):
    """How a weakly typed network is built."""

    int8_calibrator: IInt8EntropyCalibrator2


# Listening


class IInt8EntropyCalibrator2(Protocol):
    """Asked for ranges, or for pictures to find them with."""

    def __init__(self) -> None: ...

    def get_batch_size(self) -> int:
        """Pictures in a batch."""
        ...

    def get_batch(self, names: Sequence[str]) -> Sequence[int] | None:
        """Device pointers of the next batch, by input; None: there is no more."""
        ...

    def read_calibration_cache(self) -> bytes | None:
        """The cache; None: calibrate."""
        ...

    def write_calibration_cache(self, cache: bytes) -> None:
        """What calibration found."""
        ...


class ITensor(Protocol):
    """A tensor of a network."""

    name: str

    def set_dynamic_range(self, min: float, max: float) -> bool:
        """The range of its INT8 form; symmetric."""
        ...


class ILayer(Protocol):
    """A layer of a network; in a weakly typed one, types can be held."""

    num_outputs: int
    precision: Flag

    def get_output(self, index: int) -> until_ten.ITensor:
        """One of its outputs."""
        ...

    def set_output_type(self, index: int, dtype: Flag) -> None:
        """Hold an output to a type."""
        ...


class INetworkDefinition(Protocol):
    """What an engine is built from."""

    num_inputs: int
    num_layers: int

    def get_input(self, index: int) -> until_ten.ITensor:
        """One of its inputs."""
        ...

    def get_layer(self, index: int) -> until_ten.ILayer:
        """One of its layers."""
        ...
