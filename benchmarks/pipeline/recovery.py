"""A real RTSP server that is killed for a while, many times, and frozen: what the camera does.

    python -m benchmarks.pipeline.recovery [--times 20] [--away-s 10] [--freezes 5]

Both readers at once, each with a server of its own: OpenCV from pip (FFmpeg) and the
distribution's (GStreamer). "Beyond the back-off" is from the first try after the server is up (or
from when it is up, when the camera is trying already) to the first frame, failed tries and their
waits included. Prints one JSON object.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from edgesdk.capture import Camera, Recovery, SourceStats
from edgesdk.frames import Frame
from tests.capture.servers import Server, camera_by, rtsp_server
from tests.capture.traces import children, open_files, shared_memory

READERS = ("ffmpeg", "gstreamer")
WATCHDOG_S = 2.0
STEADY_S = 1.0
"""Frames before the next kill, so that each time begins with the first wait."""
REFUSED_NS = 1_000_000_000
"""A try that began before the server was up and ends so soon after it was refused before it."""
GIVEN_UP_S = 60.0


def main(times: int = 20, away_s: float = 10.0, freezes: int = 5) -> dict[str, Any]:
    """Run it and give the figures."""
    before = _held()
    with ThreadPoolExecutor(len(READERS)) as pool:
        results = list(pool.map(lambda reader: _one(reader, times, away_s, freezes), READERS))
    after = _held()
    return {
        "away_s": away_s,
        "watchdog_s": WATCHDOG_S,
        "readers": dict(zip(READERS, results, strict=True)),
        "left_over": {name: after[name] - before[name] for name in before},
    }


def _one(reader: str, times: int, away_s: float, freezes: int) -> dict[str, Any]:
    server = rtsp_server("640x352")
    address = f"rtsp://127.0.0.1:{server.port}/cam?watchdog_ms={WATCHDOG_S * 1000:.0f}"
    camera = camera_by(reader, address, Recovery(steady_s=STEADY_S, kept_changes=100_000))
    try:
        with camera:
            stream = iter(camera)
            next(stream)
            begun = _resident_mb()
            beyond = [_killed(server, camera, stream, away_s) for _ in range(times)]
            noticed = [_frozen(server, camera, stream) for _ in range(freezes)]
            grown = _resident_mb() - begun
    finally:
        server.kill()
    came = [seconds for seconds in beyond if seconds is not None]
    return {
        "killed": times,
        "recovered": len(came),
        "beyond_back_off_s": {
            "median": round(statistics.median(came), 3),
            "max": round(max(came), 3),
        },
        "frozen": freezes,
        "noticed_after_s": {"max": round(max(noticed, default=0.0), 3)},
        "noticed_over_setting": round(max(noticed, default=0.0) / WATCHDOG_S, 3),
        "memory_grown_mb": round(grown, 2),
    }


def _killed(server: Server, camera: Camera, stream: Iterator[Frame], away_s: float) -> float | None:
    time.sleep(1.5 * STEADY_S)
    known = camera.stats().reconnects
    server.kill()
    time.sleep(away_s)
    server.start()
    up_ns = time.monotonic_ns()
    if not _back(camera, stream, known):
        return None
    return _beyond_s(camera.stats(), up_ns)


def _frozen(server: Server, camera: Camera, stream: Iterator[Frame]) -> float:
    time.sleep(1.0)
    known = camera.stats().reconnects
    last = next(stream)
    server.freeze()
    frozen_ns = max(time.monotonic_ns(), last.captured_ns)
    while camera.stats().state == "streaming":
        time.sleep(0.02)
    at_ns = next(c.at_ns for c in reversed(camera.stats().history) if c.state == "frozen")
    server.thaw()
    _back(camera, stream, known)
    return (at_ns - frozen_ns) / 1e9


def _back(camera: Camera, stream: Iterator[Frame], known: int) -> bool:
    """Read until frames come again; stops the camera when that takes too long."""
    guard = threading.Timer(GIVEN_UP_S, camera.stop)
    guard.start()
    try:
        return any(camera.stats().reconnects > known for _ in stream)
    finally:
        guard.cancel()
        guard.join()


def _beyond_s(stats: SourceStats, up_ns: int) -> float:
    """From the first moment of trying after the server is up, whatever came of that try."""
    came_ns = max(change.at_ns for change in stats.history if change.state == "streaming")
    tries = [c.at_ns for c in stats.history if c.state == "connecting"]
    before = [at for at in tries if at <= up_ns][-1]
    after = [at for at in tries if at > up_ns]
    missed = any(
        before < c.at_ns <= up_ns + REFUSED_NS for c in stats.history if c.state == "waiting"
    )
    return (came_ns - (after[0] if missed else up_ns)) / 1e9


def _held() -> dict[str, int]:
    return {
        "processes": len(children()),
        "files_and_sockets": open_files(),
        "shared_memory": shared_memory(),
        "threads": threading.active_count(),
    }


def _resident_mb() -> float:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096 / 2**20


@click.command()
@click.option("--times", default=20, show_default=True, help="How often each server is killed.")
@click.option("--away-s", default=10.0, show_default=True, help="For how long.")
@click.option("--freezes", default=5, show_default=True, help="How often each is frozen.")
def command(times: int, away_s: float, freezes: int) -> None:
    """Kill and freeze real RTSP servers, and measure how cameras come back."""
    print(json.dumps(main(times, away_s, freezes), indent=2))


if __name__ == "__main__":
    command()
