"""Times that stand side by side: every case a few times in every round, in turning order.

A round is short, so that a machine that changes its speed changes it for all cases; what is stated
of two cases is the median, over the rounds, of the ratio within one round. The smallest time of all
rounds is what the code needs when nobody disturbs it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Case = Callable[[], object]


def interleaved(cases: Mapping[str, Case], rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """Per case: ms of wall and CPU (all threads of the process) a call, median and least."""
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        for _ in range(3):
            case()
    order = list(cases)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in order:
                case = cases[name]
                began_cpu, began = time.process_time_ns(), time.perf_counter_ns()
                for _ in range(calls):
                    case()
                wall[name].append((time.perf_counter_ns() - began) / calls / 1e6)
                cpu[name].append((time.process_time_ns() - began_cpu) / calls / 1e6)
            order.append(order.pop(0))
    finally:
        gc.enable()
    first = next(iter(cases))
    return {
        name: {
            "median_ms": _figure(statistics.median(wall[name])),
            "least_ms": _figure(min(wall[name])),
            "cpu_ms": _figure(statistics.median(cpu[name])),
            "times_ours": _ratio(wall[name], wall[first]),
            "cpu_times_ours": _ratio(cpu[name], cpu[first]),
        }
        for name in cases
    }


def _ratio(theirs: list[float], ours: list[float]) -> float:
    """Median over the rounds of theirs over ours."""
    pairs = zip(theirs, ours, strict=True)
    return round(statistics.median(a / b for a, b in pairs if b > 0), 3)


def _figure(value: float) -> float:
    return float(f"{value:.4g}")


def versions(*packages: str) -> dict[str, str]:
    """What is installed, by name."""
    from importlib.metadata import version  # noqa: PLC0415

    return {name: version(name) for name in packages}


def one_thread() -> None:
    """OpenCV and torch use one thread from here on."""
    import cv2  # noqa: PLC0415
    import torch  # noqa: PLC0415

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def as_object(part: Callable[[], dict[str, Any]]) -> None:
    """Print a part's report as one line, the last of stdout."""
    import json  # noqa: PLC0415

    print("\n" + json.dumps(part()))
