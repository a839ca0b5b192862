"""What every TensorRT from 8.5 to 11 has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the module's attributes are named like their own types
    from edgesdk.backends.tensorrt.api import always as api
    from edgesdk.backends.tensorrt.api.always import running


class TensorRT(Protocol):
    """The module `tensorrt`."""

    __version__: str

    # Building
    Builder: type[api.Builder]
    BuilderFlag: type[api.BuilderFlag]
    DataType: type[api.DataType]
    DeviceType: type[api.DeviceType]
    IBuilderConfig: type[api.IBuilderConfig]
    ICudaEngine: type[running.ICudaEngine]
    ILayer: type[api.ILayer]
    ILogger: type[api.ILogger]
    LayerInformationFormat: type[api.LayerInformationFormat]
    LayerType: type[api.LayerType]
    MemoryPoolType: type[api.MemoryPoolType]
    NetworkDefinitionCreationFlag: type[api.NetworkDefinitionCreationFlag]
    OnnxParser: type[api.OnnxParser]
    ParserError: type[api.ParserError]
    ProfilingVerbosity: type[api.ProfilingVerbosity]
    Refitter: type[running.Refitter]
    Runtime: type[running.Runtime]

    # Running
    IExecutionContext: type[running.IExecutionContext]
    IProfiler: type[running.IProfiler]
    TensorFormat: type[running.TensorFormat]
    TensorIOMode: type[running.TensorIOMode]
    TensorLocation: type[running.TensorLocation]


class Flag(Protocol):
    """A member of an enumeration. Its number changes from version to version: never write one."""

    name: str

    def __int__(self) -> int: ...


class ILogger(Protocol):
    """Takes what TensorRT says; subclassed, from any thread. `log` must not raise."""

    INTERNAL_ERROR: Flag
    ERROR: Flag
    WARNING: Flag

    def __init__(self) -> None: ...

    def log(self, severity: Flag, msg: str) -> None:
        """Take one message."""
        ...


# Building


class BuilderFlag(Protocol):
    """What a builder may or must do."""

    GPU_FALLBACK: Flag
    VERSION_COMPATIBLE: Flag
    """Not in 8.5."""


class DataType(Protocol):
    """Element types of tensors."""

    FLOAT: Flag
    HALF: Flag


class DeviceType(Protocol):
    """Where a layer runs."""

    DLA: Flag


class LayerInformationFormat(Protocol):
    """How an engine inspector answers."""

    JSON: Flag


class LayerType(Protocol):
    """Kinds of layers."""

    CONSTANT: Flag
    SHAPE: Flag


class MemoryPoolType(Protocol):
    """Memory whose size can be limited."""

    WORKSPACE: Flag
    DLA_MANAGED_SRAM: Flag
    DLA_LOCAL_DRAM: Flag
    DLA_GLOBAL_DRAM: Flag


class NetworkDefinitionCreationFlag(Protocol):
    """Kinds of networks. All of its members depend on the version."""


class ProfilingVerbosity(Protocol):
    """How much an engine remembers of its layers."""

    DETAILED: Flag


class IHostMemory(Protocol):
    """Bytes that TensorRT owns."""

    nbytes: int

    def __buffer__(self, flags: int, /) -> memoryview: ...


class ITensor(Protocol):
    """One tensor of a network."""

    name: str
    dtype: Flag
    """A member of DataType."""


class ILayer(Protocol):
    """One layer of a network."""

    name: str
    metadata: str
    """Such as "[ONNX Layer: conv1]". Not in 8.5."""
    type: Flag
    num_outputs: int

    def get_output(self, index: int) -> ITensor:
        """One of its outputs."""
        ...


class INetworkDefinition(Protocol):
    """What is built. Its parser must not outlive it."""

    num_layers: int
    num_inputs: int

    def get_layer(self, index: int) -> ILayer:
        """One of its layers."""
        ...

    def get_input(self, index: int) -> ITensor:
        """One of its inputs."""
        ...


class IOptimizationProfile(Protocol):
    """Shape ranges of all inputs of varying size. False when they contradict each other."""

    def set_shape(
        self, input: str, min: tuple[int, ...], opt: tuple[int, ...], max: tuple[int, ...]
    ) -> None:
        """Takes any name, known or not."""
        ...

    def __bool__(self) -> bool: ...


class ITimingCache(Protocol):
    """What each kernel took on this GPU."""

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Take over another's entries; False: it is of another TensorRT or GPU."""
        ...

    def serialize(self) -> IHostMemory:
        """As bytes."""
        ...


class IBuilderConfig(Protocol):
    """How a network is built."""

    profiling_verbosity: Flag
    builder_optimization_level: int
    """Not in 8.5."""
    default_device_type: Flag
    DLA_core: int

    def set_flag(self, flag: Flag) -> None:
        """Set one."""
        ...

    def get_flag(self, flag: Flag) -> bool:
        """Whether it is set."""
        ...

    def set_memory_pool_limit(self, pool: Flag, pool_size: int) -> None:
        """Limit a pool, in bytes. A refused size is logged, and changes nothing."""
        ...

    def get_memory_pool_limit(self, pool: Flag) -> int:
        """Limit of a pool in bytes."""
        ...

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """Its index; -1: refused."""
        ...

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        """From bytes; empty ones make an empty cache."""
        ...

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Use a cache; False: it is of another TensorRT or GPU."""
        ...

    def get_timing_cache(self) -> ITimingCache | None:
        """The one in use."""
        ...

    def can_run_on_DLA(self, layer: ILayer) -> bool:  # noqa: N802
        """Whether DLA takes this layer with the flags as they are."""
        ...


class Builder(Protocol):
    """Makes engines. Without a driver, making a builder raises a TypeError."""

    num_DLA_cores: int  # noqa: N815

    def __init__(self, logger: ILogger) -> None: ...

    def create_network(self, flags: int) -> INetworkDefinition:
        """Empty; `flags` has a bit for each NetworkDefinitionCreationFlag."""
        ...

    def create_builder_config(self) -> IBuilderConfig:
        """With TensorRT's defaults."""
        ...

    def create_optimization_profile(self) -> IOptimizationProfile:
        """Empty."""
        ...

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        """The engine's bytes; None: failed, and the logger knows why."""
        ...


class ParserError(Protocol):
    """What the parser refuses."""

    def code(self) -> Flag:
        """Its kind. Its `name` is a method up to 10.13: use str(), "ErrorCode.UNSUPPORTED_NODE"."""
        ...

    def desc(self) -> str:
        """In words."""
        ...

    def node(self) -> int:
        """Position of the ONNX node; -1: none."""
        ...


class OnnxParser(Protocol):
    """Fills a network from ONNX. It crashes when the network is gone: keep both."""

    num_errors: int

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None: ...

    def parse(self, model: bytes) -> bool:
        """False: refused; see the errors."""
        ...

    def get_error(self, index: int) -> ParserError:
        """One of the errors."""
        ...
