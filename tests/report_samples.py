"""Reports to test with: a run of known latencies on a known machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesdk.report import (
    Activity,
    EngineReport,
    LatencyReport,
    Machine,
    MeasureSettings,
    Provenance,
    Samples,
    Software,
    Subject,
    make_engine_report,
    make_report,
)

QUIET = Activity(load_1min=0.1, others_percent=0.3, steal_percent=0.0)
DESK = Machine(
    cpu="Example CPU 9000",
    cores=8,
    memory_bytes=16 * 2**30,
    os="Example Linux 12",
    kernel="6.1.0",
    board="",
    jetson_linux="",
    power_mode="",
    virtual=False,
    clocks=(),
)
SUBJECT = Subject(
    name="vehicles",
    target="agx-orin-64gb",
    precision="int8",
    bundle_digest="b" * 64,
    model_digest="a" * 64,
    input="synthetic noise 1280x720",
)
SOFTWARE = Software("0.1.0", "3.11.2", "2.0.0", "1.18.0", "onnxruntime", "1.20.0", 0)


def provenance(machine: Machine = DESK, activity: Activity = QUIET) -> Provenance:
    return Provenance(
        "2026-01-05T10:20:30+00:00",
        "edgesdk bench vehicles.edge",
        "CPU",
        SUBJECT,
        SOFTWARE,
        machine,
        activity,
    )


def samples(total_ms: Sequence[float], warmup_ms: Sequence[float] = (30.0, 22.0)) -> Samples:
    """Three stages that take a tenth, eight tenths and a tenth of each total."""
    total = np.asarray(total_ms) * 1e6
    ns = np.stack([total * 0.1, total * 0.8, total * 0.1], axis=1).astype(np.int64)
    return Samples(
        ("preprocess", "inference", "decode"), ns, (np.asarray(warmup_ms) * 1e6).astype(np.int64)
    )


def report(
    total_ms: Sequence[float],
    machine: Machine = DESK,
    activity: Activity = QUIET,
    engine: EngineReport | None = None,
) -> LatencyReport:
    run = samples(total_ms)
    settings = MeasureSettings(len(run.warmup_ns), max(len(run.ns), 2))
    return make_report(run, settings, provenance(machine, activity), engine=engine)


@dataclass(frozen=True)
class Phases:
    """As a session times one run."""

    enqueue_ms: float
    h2d_ms: float
    compute_ms: float
    d2h_ms: float


@dataclass(frozen=True)
class LayerTime:
    name: str
    ms_median: float


@dataclass(frozen=True)
class LayerFacts:
    name: str
    precision: str
    device: str = "gpu"


LAYERS = (
    ("Reformatting CopyNode for Input Tensor 0 to /stem/conv", 0.031, "fp32"),
    ("/stem/conv/Conv + PWN(/stem/act/Sigmoid, /stem/act/Mul)", 0.412, "int8"),
    ("/stage1/down/Conv + /stage1/act/Relu", 0.287, "int8"),
    ("/stage1/block/conv1/Conv || /stage1/block/conv2/Conv", 0.345, "int8"),
    ("/neck/fuse/Concat", 0.012, ""),
    ("/neck/attention/MatMul_fused_attention_kernel_with_a_rather_long_name", 0.155, "fp16"),
    ("/head/reg/Conv", 0.098, "fp32"),
)
"""Seven layers of an engine in its order: (name, ms, what it computes in)."""


def engine(
    enqueue: float = 0.4,
    h2d: float = 0.21,
    compute: float = 1.5,
    d2h: float = 0.06,
    runs: int = 401,
    spread: float = 0.01,
) -> EngineReport:
    """A steady engine of these medians; `spread` is the coefficient of variation of `compute`."""
    wave = np.random.default_rng(7).permutation(np.linspace(-(3**0.5), 3**0.5, runs))
    timed = [Phases(enqueue, h2d, compute * (1 + spread * float(w)), d2h) for w in wave]
    layers = [LayerTime(name, ms) for name, ms, _ in LAYERS]
    facts = [LayerFacts(name, precision) for name, _, precision in LAYERS if precision]
    return make_engine_report(timed, layers, facts, profiled_runs=50, cuda_graph=True)


def steady(count: int = 400, ms: float = 20.0) -> np.ndarray:
    """Latencies with a coefficient of variation of about 1 %, always the same ones."""
    return np.random.default_rng(5).normal(ms, ms / 100, count)


def named(found: LatencyReport, **changes: str) -> LatencyReport:
    """The same report of another subject."""
    subject = replace(found.provenance.subject, **changes)
    return replace(found, provenance=replace(found.provenance, subject=subject))
