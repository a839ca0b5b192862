"""Where the time of a run goes: by phase as trtexec counts it, and by layer."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.api.always.running import IProfiler


@dataclass(frozen=True)
class Phases:
    """One run, in milliseconds, by the definitions of NVIDIA's trtexec."""

    enqueue_ms: float
    """The CPU's time to start the inference, copies not counted. It runs beside the GPU: when it is
    longer than `compute_ms`, the GPU waits for the CPU."""
    h2d_ms: float
    """The GPU's time to copy the inputs; about 0 where GPU and CPU share memory (see
    `cuda.MemoryMode`). Writing them into pinned memory is the CPU's work and not in it."""
    compute_ms: float
    """The GPU's time from the first kernel to the last."""
    d2h_ms: float
    """As `h2d_ms`, for the outputs."""

    @property
    def latency_ms(self) -> float:
        """trtexec's latency: copies and computing."""
        return self.h2d_ms + self.compute_ms + self.d2h_ms


@dataclass(frozen=True)
class LayerTime:
    """One layer of an engine, as TensorRT's profiler reports it."""

    name: str
    """TensorRT's name of the layer; fused layers name all their parts."""
    ms: tuple[float, ...]
    """GPU time of each run. Their sum is more than `compute_ms`: profiled layers do not overlap."""

    @property
    def ms_median(self) -> float:
        """Of the runs."""
        return median(self.ms)


def make_profiler(trt: TensorRT, times: dict[str, list[float]]) -> IProfiler:
    """A profiler of TensorRT's class that adds to `times`, layer name -> ms of each run."""

    class Profiler(trt.IProfiler):  # type: ignore[name-defined, misc]
        """Takes one time after the other."""

        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            """Take one layer's time."""
            times.setdefault(layer_name, []).append(ms)

    profiler: IProfiler = Profiler()
    return profiler
