"""From nothing to something: whole processes, each started anew, in turning order.

The last of edgesdk's is a run of the traffic app on one frame of a simulated road, to the exit of
the process: more than what it takes to the first frame. Files are in the system's cache.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.pipeline.environment import peers_python, quiet
from benchmarks.pipeline.rounds import as_object

ROOT = Path(__file__).parents[2]
ROUNDS = 7
RUN = ["run", "traffic_counting", "--source", "sim://traffic?seed=3&frames=5", "--max-frames", "1"]


def commands() -> dict[str, list[str]]:
    """What is started."""
    own, theirs = sys.executable, str(peers_python())
    return {
        "python -c pass": [own, "-c", "pass"],
        "import edgesdk": [own, "-c", "import edgesdk"],
        "edgesdk --version": [own, "-m", "edgesdk", "--version"],
        "edgesdk run, one frame, to its end": [own, "-m", "edgesdk", *RUN],
        "import cv2, onnxruntime": [own, "-c", "import cv2, onnxruntime"],
        "import supervision": [theirs, "-c", "import supervision"],
        "from ultralytics import YOLO": [theirs, "-c", "from ultralytics import YOLO"],
        "ultralytics version": [str(Path(theirs).with_name("yolo")), "version"],
    }


def once(command: list[str]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    environment = {**os.environ, **quiet(), "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {said.decode()[-400:]}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> dict[str, Any]:
    """All commands."""
    wanted = commands()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
    order = list(wanted)
    for number in range(ROUNDS + 1):
        for name in order:
            seconds = once(wanted[name])
            if number:  # the first fills the system's cache
                taken[name].append(seconds)
        order.append(order.pop(0))
    rows = {}
    for name, seconds in taken.items():
        wall, cpu = zip(*seconds, strict=True)
        rows[name] = {
            "median_s": round(statistics.median(wall), 3),
            "least_s": round(min(wall), 3),
            "cpu_s": round(statistics.median(cpu), 3),
        }
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "import 0.15 s, --version 0.25 s, run to its first frame 1 s on an idle machine",
        "rounds": ROUNDS,
        "cases": rows,
    }


if __name__ == "__main__":
    as_object(main)
