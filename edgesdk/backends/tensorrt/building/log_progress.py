"""How far a build is, read from the log: for TensorRT 8, which reports no phases.

The log says how many layers are left after fusion, then times the kernels of one layer after the
other. The share is that of the layers whose timing has begun, between the two ends.
"""

from __future__ import annotations

import re

from edgesdk.backends.tensorrt.building.progress import Reporter

LAYERS = re.compile(r"^(?:After [\w /-]+|Original): (\d+) layers")
TIMED = re.compile(r"Timing Runner: (.+?) \(\w+(?:\[\w+\])?\)\s*$")
OPTIMIZED = "Graph construction and optimization completed"
GENERATED = "Engine generation completed"
BEFORE, AFTER = 0.05, 0.95
"""Shares where the timing of kernels begins and ends."""


class LogProgress:
    """Hears every line of TensorRT's."""

    def __init__(self, reporter: Reporter, nodes: int) -> None:
        """`nodes` of the graph: more layers than that there cannot be, until the log says it."""
        self._reporter = reporter
        self._layers = nodes
        self._timed: set[str] = set()

    def heard(self, line: str) -> None:
        """Take one line of the log."""
        with self._reporter.guard:
            self._take(line)

    def _take(self, line: str) -> None:
        layers, timed = LAYERS.search(line), TIMED.search(line)
        if layers:
            self._layers = int(layers[1])
        elif timed and self._layers:
            self._timed.add(timed[1])
            share = min(len(self._timed) / self._layers, 1.0)
            self._reporter.at(f"timing {timed[1]}", BEFORE + (AFTER - BEFORE) * share)
        elif OPTIMIZED in line:
            self._reporter.at("fusing layers", BEFORE)
        elif GENERATED in line:
            self._reporter.at("writing the engine", AFTER)
