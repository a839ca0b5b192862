"""Engines in memory: loading, inspecting, refitting and running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edgesdk.backends.tensorrt.api.always import Flag, ILogger


class EngineInspector(Protocol):
    """Says what an engine is made of."""

    def get_engine_information(self, format: Flag) -> str:
        """All layers, as far as the engine's profiling verbosity remembers them."""
        ...


class ICudaEngine(Protocol):
    """An engine in memory."""

    num_layers: int
    num_io_tensors: int

    def create_engine_inspector(self) -> EngineInspector:
        """An inspector of this engine."""
        ...

    def create_execution_context(self) -> IExecutionContext | None:
        """A state to run in, with memory of its own; None: too little of it."""
        ...

    def get_tensor_name(self, index: int) -> str:
        """Of one input or output."""
        ...

    def get_tensor_mode(self, name: str) -> Flag:
        """A TensorIOMode: whether it is an input or an output."""
        ...

    def get_tensor_dtype(self, name: str) -> Flag:
        """A DataType."""
        ...

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """Sizes; -1 is one that varies."""
        ...

    def get_tensor_format(self, name: str) -> Flag:
        """A TensorFormat."""
        ...

    def get_tensor_location(self, name: str) -> Flag:
        """A TensorLocation."""
        ...

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[tuple[int, ...]]:
        """Of an input of varying size: smallest, tuned for, largest."""
        ...


class Runtime(Protocol):
    """Loads engines."""

    DLA_core: int
    """Where an engine that was built for DLA runs."""
    engine_host_code_allowed: bool
    """Must be true for a version-compatible engine, which carries code. Not in 8.5."""

    def __init__(self, logger: ILogger) -> None: ...

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """None: refused, and the logger knows why."""
        ...


class Refitter(Protocol):
    """Puts weights into an engine."""

    def __init__(self, engine: ICudaEngine, logger: ILogger) -> None: ...

    def refit_cuda_engine(self) -> bool:
        """False: failed, and the logger knows why."""
        ...

    def get_missing_weights(self) -> list[str]:
        """Names of weights that are still to come."""
        ...


class TensorIOMode(Protocol):
    """Whether a tensor goes in or comes out."""

    INPUT: Flag


class TensorLocation(Protocol):
    """Whose memory a tensor is in."""

    DEVICE: Flag


class TensorFormat(Protocol):
    """How a tensor's elements lie in memory."""

    LINEAR: Flag


class IProfiler(Protocol):
    """Takes the time of each layer; subclassed. Must not raise."""

    def __init__(self) -> None: ...

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        """Take one layer's time in milliseconds."""
        ...


class IExecutionContext(Protocol):
    """One state in which an engine runs; for one thread at a time."""

    profiler: IProfiler
    """Times each layer of every run; the caller keeps it alive."""

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        """Of an input of varying size; False: outside its range, and the logger knows why."""
        ...

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """As the engine's, with what the inputs' shapes make of it."""
        ...

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where a tensor lies on the device."""
        ...

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Put the inference on a stream; False: failed, and the logger knows why."""
        ...
