"""The inside of an engine: phases of a run as trtexec names them, and the time of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.backends.timing import LayerFacts, LayerTime, PhaseTimes
from edgesdk.report.statistics import Summary, summarize

PhaseName = Literal["enqueue", "h2d", "compute", "d2h"]
MAX_LAYERS = 2000
"""Bounds the report; the slowest stay."""


@dataclass(frozen=True)
class Phase:
    """One phase over all timed runs."""

    name: PhaseName
    latency: Summary


@dataclass(frozen=True)
class Layer:
    """One layer of the engine."""

    name: str
    """As the engine has it: fused layers have the names of their parts."""
    median_ms: float
    share_percent: float
    """Of all layers' medians."""
    precision: str
    """What it really computes in, e.g. "int8"; empty: the engine does not say."""
    device: str
    """ "gpu" or "dla"; empty: not known."""


@dataclass(frozen=True)
class EngineReport:
    """What was measured inside a session that can be timed."""

    runs: int
    """Runs that the phases are from; other runs than those of the stages."""
    phases: tuple[Phase, ...]
    """enqueue (by the processor, while the GPU works), h2d, compute, d2h."""
    profiled_runs: int
    """Runs that the layers are from; 0: none was profiled."""
    layers: tuple[Layer, ...]
    """In the engine's order. Profiled layers do not overlap: together they take longer than
    `compute`."""
    layers_ms: float
    """Sum of the medians of all layers."""
    cuda_graph: bool
    """Whether the runs were started as a CUDA graph. trtexec of TensorRT 11 does so by default, the
    older ones do not."""
    zero_copy: bool
    """Whether processor and GPU share the memory of inputs and outputs: then h2d and d2h are 0."""

    @property
    def manner(self) -> str:
        """How the engine was run, in words."""
        graph = "as a CUDA graph" if self.cuda_graph else "without a CUDA graph"
        memory = "without copies (zero-copy)" if self.zero_copy else "with copies"
        return f"{graph}, {memory}"

    def phase(self, name: PhaseName) -> Summary:
        """The phase called `name`."""
        return next(phase.latency for phase in self.phases if phase.name == name)

    @property
    def slowest(self) -> tuple[Layer, ...]:
        """All layers, the slowest first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.median_ms))

    @property
    def by_precision(self) -> tuple[tuple[str, float], ...]:
        """(precision, share of the layers' time in percent), the largest first."""
        shares: dict[str, float] = {}
        for layer in self.layers:
            name = layer.precision or "unknown"
            shares[name] = shares.get(name, 0.0) + layer.share_percent
        return tuple(sorted(shares.items(), key=lambda item: -item[1]))


def make_engine_report(
    runs: Sequence[PhaseTimes],
    layers: Sequence[LayerTime] = (),
    facts: Iterable[LayerFacts] = (),
    profiled_runs: int = 0,
    *,
    cuda_graph: bool = False,
    zero_copy: bool = False,
) -> EngineReport:
    """Summarize at least two timed runs, and the profile of the layers where there is one.

    `facts` are joined to `layers` by name. Raises ValueError for fewer than two runs.
    """
    columns: dict[PhaseName, list[float]] = {
        "enqueue": [run.enqueue_ms for run in runs],
        "h2d": [run.h2d_ms for run in runs],
        "compute": [run.compute_ms for run in runs],
        "d2h": [run.d2h_ms for run in runs],
    }
    known = {fact.name: fact for fact in facts}
    whole = sum(layer.ms_median for layer in layers)
    kept = sorted(range(len(layers)), key=lambda i: -layers[i].ms_median)[:MAX_LAYERS]
    return EngineReport(
        runs=len(runs),
        phases=tuple(Phase(name, summarize(np.array(ms))) for name, ms in columns.items()),
        profiled_runs=profiled_runs,
        layers=tuple(_layer(layers[i], whole, known) for i in sorted(kept)),
        layers_ms=round(whole, 6),
        cuda_graph=cuda_graph,
        zero_copy=zero_copy,
    )


def _layer(layer: LayerTime, whole: float, known: dict[str, LayerFacts]) -> Layer:
    fact = known.get(layer.name)
    return Layer(
        name=layer.name,
        median_ms=round(layer.ms_median, 6),
        share_percent=round(100 * layer.ms_median / whole, 3) if whole else 0.0,
        precision="" if fact is None or fact.precision == "unknown" else fact.precision.lower(),
        device=fact.device.lower() if fact else "",
    )
