"""What trtexec warns of, said of an engine's phases, its layers and the GPU's clock."""

from __future__ import annotations

from edgesdk.report.engine import EngineReport
from edgesdk.report.findings import MAX_CV_PERCENT, Finding
from edgesdk.report.machine import ClockDomain, Machine

ENQUEUE_SHARE = 0.8
"""trtexec warns above it: enqueue time / compute time, of the medians."""
TRANSFER_SHARE = 0.5
"""Of the time on the GPU: above it, copying takes longer than computing."""
CLOCK_SHARE = 0.97
"""A clock that is this near to its limit is at it."""
FLOAT_SHARE = 20.0
"""Percent of the layers' time that an INT8 engine may spend in float without a word."""
GPU_CLOCKS = ("gpu", "gv11b", "ga10b", "gb10b")
"""Parts of the names that the GPU's clock has in /sys/class/devfreq on Xavier, Orin and Thor."""


def find_in_engine(
    engine: EngineReport, machine: Machine, precision: str = ""
) -> tuple[Finding, ...]:
    """All findings about the inside of one engine, warnings first.

    `precision` is what the bundle was built for: "int8" is held against what its layers run in.
    """
    found = (
        _enqueue_bound(engine),
        _transfers(engine),
        _unsteady(engine),
        _gpu_clock(machine),
        _float_layers(engine, precision),
    )
    return tuple(sorted((f for f in found if f), key=lambda finding: finding.level != "warning"))


def _enqueue_bound(engine: EngineReport) -> Finding | None:
    enqueue, compute = engine.phase("enqueue").middle_ms, engine.phase("compute").middle_ms
    if enqueue <= ENQUEUE_SHARE * compute:
        return None
    return Finding(
        "enqueue-bound",
        "warning",
        f"enqueueing takes {enqueue:.3f} ms and the GPU computes for {compute:.3f} ms",
        "The processor, not the GPU, sets the pace: it needs as long to hand out the work as the "
        "GPU needs to do it. A faster GPU or a smaller precision would change nothing.",
        "lock the CPU's clocks (sudo jetson_clocks), or run a larger batch"
        + ("" if engine.cuda_graph else "; inputs of fixed size let it run as a CUDA graph"),
    )


def _transfers(engine: EngineReport) -> Finding | None:
    copies = {"to": engine.phase("h2d").middle_ms, "from": engine.phase("d2h").middle_ms}
    compute = engine.phase("compute").middle_ms
    total = sum(copies.values())
    if total <= TRANSFER_SHARE * (total + compute):
        return None
    return Finding(
        "transfer-bound",
        "warning",
        f"copies take {total:.3f} ms ({copies['to']:.3f} to the GPU, {copies['from']:.3f} from it) "
        f"and the engine {compute:.3f} ms",
        "Most of the time goes into moving data, not into the model.",
        "on a Jetson let the GPU read host memory in place (zero-copy); make the input on the GPU; "
        "let the model give fewer or smaller outputs",
    )


def _unsteady(engine: EngineReport) -> Finding | None:
    spread = engine.phase("compute").cv_percent
    if spread <= MAX_CV_PERCENT:
        return None
    return Finding(
        "gpu-unsteady",
        "warning",
        f"the GPU's own time varies by {spread:.1f} % (standard deviation / mean)",
        f"Above {MAX_CV_PERCENT} % trtexec calls a run unstable: the GPU's clock moved, or "
        "something else used the GPU.",
        "lock the clocks (sudo jetson_clocks), stop what else draws or computes, measure longer",
    )


def _gpu_clock(machine: Machine) -> Finding | None:
    clock = next(filter(_is_low, machine.clocks), None)
    if clock is None:
        return None
    return Finding(
        "gpu-clock-low",
        "warning",
        f"the GPU's clock {clock.name} was at {clock.current_mhz:.0f} of {clock.max_mhz:.0f} MHz "
        "just after the run",
        "A GPU that is clocked down is slower in proportion: the figures are those of this clock, "
        "not of the board.",
        "sudo jetson_clocks, then measure again; if it stays low, look at the temperature and the "
        "power mode (sudo nvpmodel -q)",
    )


def _is_low(clock: ClockDomain) -> bool:
    name = clock.name.lower()
    of_gpu = clock.unit == "other" and any(part in name for part in GPU_CLOCKS)
    return of_gpu and clock.current_mhz < CLOCK_SHARE * clock.max_mhz


def _float_layers(engine: EngineReport, precision: str) -> Finding | None:
    shares = dict(engine.by_precision)
    in_float = shares.get("fp32", 0.0) + shares.get("fp16", 0.0)
    if precision != "int8" or in_float <= FLOAT_SHARE:
        return None
    slow = [layer for layer in engine.slowest if layer.precision in ("fp32", "fp16")][:3]
    return Finding(
        "layers-in-float",
        "note",
        f"{in_float:.0f} % of the layers' time is not INT8; most of it in "
        + ", ".join(f"{layer.name} ({layer.precision})" for layer in slow),
        "Some layers stay in float on purpose; others fell back since TensorRT found no INT8 "
        "kernel or did not fuse their Q/DQ pairs.",
        "see which layers the bundle keeps in float: edgesdk doctor --bundle BUNDLE",
    )
