"""What can be asked of an engine, beyond what the bundle's graph says."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgesdk.errors import UsageError

KIB = 1024


@dataclass(frozen=True)
class ShapeRange:
    """The shapes that one input of varying size may have; TensorRT calls it a profile."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    """The shape that TensorRT tunes for."""
    max: tuple[int, ...]

    def __post_init__(self) -> None:
        same_rank = len(self.min) == len(self.opt) == len(self.max)
        if not same_rank or not all(
            1 <= low <= mid <= high
            for low, mid, high in zip(self.min, self.opt, self.max, strict=True)
        ):
            raise UsageError(
                f"a shape range needs 1 <= min <= opt <= max in each dimension, found {self}",
                "such as 1x3x416x416 : 4x3x416x416 : 8x3x416x416",
            )

    def __str__(self) -> str:
        return " : ".join("x".join(map(str, shape)) for shape in (self.min, self.opt, self.max))


@dataclass(frozen=True)
class DlaSettings:
    """Run what can be run there on a DLA core."""

    core: int = 0
    gpu_fallback: bool = True
    """False: a layer that DLA cannot run is an error."""
    sram_bytes: int | None = None
    """For each subgraph, a power of two of at least 4 KiB; None: TensorRT's own, 1 MiB."""
    local_bytes: int | None = None
    """As `sram_bytes`; None: 1 GiB."""
    global_bytes: int | None = None
    """As `sram_bytes`; None: 512 MiB."""

    def __post_init__(self) -> None:
        for name in ("sram_bytes", "local_bytes", "global_bytes"):
            value = getattr(self, name)
            if value is not None and (value < 4 * KIB or value & (value - 1)):
                raise UsageError(
                    f"DLA takes memory in powers of two of at least 4 KiB, found {name} = {value}"
                )


@dataclass(frozen=True)
class EngineSettings:
    """What to build. All of it is part of the engine's key."""

    shapes: dict[str, ShapeRange] = field(default_factory=dict)
    """By input; only inputs of varying size have one."""
    workspace_bytes: int | None = None
    """Scratch memory that TensorRT may use; None: a quarter of the device's memory."""
    optimization_level: int | None = None
    """0 (quick to build) to 5 (tries most); None: TensorRT's own, 3. Not in 8.5."""
    dla: DlaSettings | None = None
    version_compatible: bool = False
    """Loads in later TensorRT of the same major version too; costs size and some speed."""
    strip_weights: bool = False
    """Leave the weights out; they are put in from the bundle when it is opened. 10 and later."""
    implicit_int8: bool = False
    """Ranges beside the graph instead of Q/DQ inside it: for DLA of JetPack 5 and 6."""

    def __post_init__(self) -> None:
        if self.optimization_level is not None and not 0 <= self.optimization_level <= 5:
            raise UsageError(f"the optimization level is 0 to 5, found {self.optimization_level}")
