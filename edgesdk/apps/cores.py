"""How the cores of a CPU are shared among frames that are worked on at the same time."""

from __future__ import annotations

import os
from dataclasses import dataclass

AT_ONCE = 2
"""Frames at a time on a CPU. Two keep the cores busy where one leaves them waiting: the threads
of one run wait for each other after each layer, and for whoever reads and tracks on their core."""


@dataclass(frozen=True)
class CoreShares:
    """What the cores do."""

    parallel: int
    """Frames that the model works on at once."""
    threads: int
    """Of each; 0: the backend's own choice."""


def share_cores(
    backend: str, batch: int, parallel: int = 0, threads: int = 0, cores: int = 0
) -> CoreShares:
    """Shares for one session. 0 for `parallel` and `threads`: chosen here; `cores` 0: those that
    this process may use.

    Frames run side by side in ONNX Runtime, and only with a model of batch 1: a GPU takes one after
    another anyway, and a batch is its own way to fill the cores.
    """
    if backend != "onnxruntime" or batch != 1:
        return CoreShares(1, threads)
    have = cores or len(os.sched_getaffinity(0))
    at_once = parallel or min(AT_ONCE, have)
    if at_once == 1:
        return CoreShares(1, threads)
    return CoreShares(at_once, threads or max(have // at_once, 1))
