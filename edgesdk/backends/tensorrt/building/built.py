"""What goes into one build beside the settings, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from edgesdk.backends.base import ShowProgress, no_progress
from edgesdk.backends.tensorrt.api.always import ILogger, TensorRT
from edgesdk.bundle import Precision

Device = Literal["gpu", "dla"]
Ran = Literal["int8", "fp16", "fp32", "other", "unknown"]
"""What a layer reads and computes in; "unknown": the engine does not remember."""


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine, as TensorRT's inspector describes it."""

    name: str
    precision: Ran = "unknown"
    device: Device = "gpu"
    origin: tuple[str, ...] = ()
    """ONNX nodes that went into it."""
    kind: str = ""
    """TensorRT's word, e.g. "CaskConvolution"."""
    kernel: str = ""
    """TensorRT's name of the kernel; empty: not stated."""


@dataclass(frozen=True)
class FallbackLayer:
    """A layer that DLA does not take."""

    name: str
    kind: str
    origin: tuple[str, ...]
    """ONNX nodes that it comes from."""


@dataclass(frozen=True)
class DlaReport:
    """Which layers of the network a DLA core takes, as TensorRT said before it built."""

    core: int
    on_dla: int
    """How many layers."""
    on_gpu: tuple[FallbackLayer, ...] = ()

    def __str__(self) -> str:
        layers = self.on_dla + len(self.on_gpu)
        text = f"DLA core {self.core} takes {self.on_dla} of {layers} layers"
        if not self.on_gpu:
            return text
        names = [", ".join(layer.origin) or layer.name for layer in self.on_gpu]
        return f"{text}; on the GPU: {', '.join(names)}"


Inspect: TypeAlias = Callable[[TensorRT, bytes, ILogger], tuple[EngineLayer, ...]]
"""Reads the layers back out of an engine's bytes."""


def no_lines(line: str) -> None:
    """Hear nothing."""


def never() -> bool:
    """Go on."""
    return False


@dataclass(frozen=True)
class BuildOrder:
    """What one build needs and the engine's key does not: the engine is the same without it."""

    memory_bytes: int | None = None
    """Of the device, shared by CPU and GPU; None: TensorRT's own limits hold."""
    timing_cache: Path | None = None
    """File that is read before and written after; see `timing_cache.cache_path`."""
    progress: ShowProgress = no_progress
    stop: Callable[[], bool] = never
    """Asked between the steps; true: the build ends with a BackendError. Below TensorRT 10
    a build cannot be stopped."""
    hear: Callable[[str], None] = no_lines
    """Hears every line of TensorRT's log, the verbose ones too; from any thread."""
    inspect: Inspect | None = None
    """None: the engine is loaded once and TensorRT's inspector asked."""
    ranges: Mapping[str, float] = field(default_factory=dict)
    """Tensor -> amax, for implicit INT8 only."""
    wanted_int8: tuple[str, ...] = ()
    """ONNX nodes that shall run in INT8, for implicit INT8; otherwise the graph says it."""
    pinned: Mapping[str, Precision] = field(default_factory=dict)
    """ONNX nodes that implicit INT8 must leave in float -> in which."""


@dataclass(frozen=True)
class BuiltEngine:
    """An engine, and what is known of it."""

    data: bytes
    """The serialized engine: for this TensorRT and this kind of GPU."""
    version: str
    """TensorRT's, as it states it."""
    seconds: float
    layers: tuple[EngineLayer, ...] = ()
    """Empty: the engine could not be inspected, see `warnings`."""
    dla: DlaReport | None = None
    """None: DLA was not asked for."""
    warnings: tuple[str, ...] = ()
    """What a user should know: INT8 that was not honoured comes first."""
    log: tuple[str, ...] = ()
    """Warnings of TensorRT's own, each once."""
