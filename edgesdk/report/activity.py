"""What else the machine did while it measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Activity:
    """Load that was not the measurement's own. None: could not be read."""

    load_1min: float | None
    """Load average of the last minute, just before the run."""
    others_percent: float | None
    """Time that other processes and the kernel took during the run, of all processors'."""
    steal_percent: float | None
    """Time that the hypervisor gave to other machines meanwhile, of all processors'."""


class ActivityMeter:
    """Starts to watch when it is made; `read` says what it saw since.

    From /proc/loadavg and the first line of /proc/stat (proc(5)) under `root`; what this process
    used itself is taken off.
    """

    def __init__(
        self, root: Path = Path("/"), own_seconds: Callable[[], float] = time.process_time
    ) -> None:
        self._root = root
        self._own_seconds = own_seconds
        self._load = _load(root)
        self._ticks = _ticks(root)
        self._own = own_seconds()

    def read(self) -> Activity:
        """What happened since the meter was made."""
        before, after = self._ticks, _ticks(self._root)
        own = (self._own_seconds() - self._own) * os.sysconf("SC_CLK_TCK")
        if before is None or after is None:
            return Activity(self._load, None, None)
        user, nice, system, idle, wait, hard, soft, steal = (
            late - early for early, late in zip(before, after, strict=True)
        )
        busy = user + nice + system + hard + soft
        whole = max(busy + idle + wait + steal, 1)
        others = max(busy - own, 0.0)
        return Activity(self._load, round(100 * others / whole, 1), round(100 * steal / whole, 1))


def _load(root: Path) -> float | None:
    try:
        return float((root / "proc/loadavg").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _ticks(root: Path) -> tuple[int, ...] | None:
    """user nice system idle iowait irq softirq steal, in clock ticks over all processors."""
    try:
        words = (root / "proc/stat").read_text().split("\n", 1)[0].split()
        ticks = tuple(int(word) for word in words[1:9])
    except (OSError, ValueError):
        return None
    return ticks if len(ticks) == 8 else None
