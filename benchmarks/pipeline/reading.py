"""Reading a video file: edgesdk's reader against OpenCV's own grab and retrieve, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from benchmarks.pipeline.rounds import as_object, versions
from edgesdk._resources import assets_folder
from edgesdk.video import read_video

CLIPS = ("road_8_vehicles.mp4", "vtest.avi", "bottle-detection.mp4")
FRAMES, ROUNDS = 150, 9


def by_opencv(path: Path) -> int:
    """How many frames it read."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while count < FRAMES and capture.grab():
        held = capture.retrieve()[1]  # until the next one is there, as any user of it does
        count += held is not None
    capture.release()
    return count


def by_edgesdk(path: Path) -> Callable[[], int]:
    """A reader that is open; OpenCV's first frame is no part of either."""
    reader = read_video(path)
    return lambda: sum(1 for _ in islice(reader, FRAMES))


def measured(path: Path) -> dict[str, float]:
    ours = by_edgesdk(path)
    cases: list[tuple[str, Callable[[], int]]] = [
        ("edgesdk", ours),
        ("opencv", lambda: by_opencv(path)),
    ]
    wall: dict[str, list[float]] = {"edgesdk": [], "opencv": []}
    cpu: dict[str, list[float]] = {"edgesdk": [], "opencv": []}
    for number in range(ROUNDS + 1):
        counts = set()
        for name, case in cases:
            began_cpu, began = time.process_time(), time.perf_counter()
            counts.add(case())
            if number:
                wall[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - began_cpu)
        assert len(counts) == 1, counts
        cases.reverse()

    def ratio(times: dict[str, list[float]]) -> float:
        pairs = zip(times["edgesdk"], times["opencv"], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 4)

    return {
        "frames": counts.pop(),
        "opencv_ms_a_frame": round(statistics.median(wall["opencv"]) / FRAMES * 1e3, 4),
        "time_over_opencv": ratio(wall),
        "least_over_least": round(min(wall["edgesdk"]) / min(wall["opencv"]), 4),
        "cpu_over_opencv": ratio(cpu),
    }


def main() -> dict[str, Any]:
    """All clips."""
    assets = assets_folder()
    assert assets, "needs the assets: set EDGESDK_ASSETS"
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "within 5 % of OpenCV's own grab and retrieve",
        "versions": versions("opencv-python-headless"),
        "clips": {name: measured(assets / "video" / name) for name in CLIPS},
    }


if __name__ == "__main__":
    as_object(main)
