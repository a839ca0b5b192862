"""What a session that runs on a GPU can say of one run, beyond its outputs.

Only some sessions can. `isinstance(session, Timed)` asks whether this one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from edgesdk.tensors import Array


class PhaseTimes(Protocol):
    """The phases of one run, as trtexec names them. In ms, by the GPU's clock but for enqueue."""

    @property
    def enqueue_ms(self) -> float:
        """What the processor took to hand the work to the GPU."""
        ...

    @property
    def h2d_ms(self) -> float:
        """Copying the inputs from host to device."""
        ...

    @property
    def compute_ms(self) -> float:
        """The engine itself."""
        ...

    @property
    def d2h_ms(self) -> float:
        """Copying the outputs from device to host."""
        ...


class LayerTime(Protocol):
    """One layer of an engine, as TensorRT's profiler times it."""

    @property
    def name(self) -> str:
        """As the engine has it: fused layers have the names of their parts."""
        ...

    @property
    def ms_median(self) -> float:
        """Over the profiled runs."""
        ...


class LayerFacts(Protocol):
    """What the engine's inspector says of a layer."""

    @property
    def name(self) -> str:
        """As `LayerTime` has it."""
        ...

    @property
    def precision(self) -> str:
        """What it really computes in: "int8", "fp16", "fp32"..."""
        ...

    @property
    def device(self) -> str:
        """ "gpu" or "dla"."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A session that times its phases and its layers."""

    @property
    def uses_graph(self) -> bool:
        """Whether the last run was started as a CUDA graph."""
        ...

    @property
    def zero_copy(self) -> bool:
        """Whether inputs and outputs are one memory for processor and GPU."""
        ...

    def timed(self, feeds: Mapping[str, Array]) -> tuple[Mapping[str, Array], PhaseTimes]:
        """As `Session.run`, with the time of each phase."""
        ...

    def profiled(self, feeds: Mapping[str, Array], runs: int) -> Sequence[LayerTime]:
        """Time of each layer over `runs` runs, in the engine's order.

        Profiling ends each layer before the next begins, so the layers together take longer than
        a run does.
        """
        ...
