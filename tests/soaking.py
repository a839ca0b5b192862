"""Runs the whole pipeline under faults and watches what it keeps: for the test and the benchmark.

Three live sources share a model: two simulated cameras with every fault there is, and a camera on
http:// whose server hangs up every few seconds and whose capture process is killed now and then.
Events go to JSON lines, SQLite, snapshots, metrics and a web page that somebody looks at.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import available
from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.pipeline import Pipeline, RunSummary
from tests.squares import app_folder

APP = """
from dataclasses import astuple, dataclass, fields, replace
from edgesdk.pipeline import Event, Step

@dataclass(frozen=True)
class Settings:
    pass

class Program:
    event = Event
    columns = ()
    def __init__(self, settings, scene):
        pass
    def stages(self):
        return (Step("tell", self.tell),)
    def draw(self, packet):
        return packet.frame.image
    def tell(self, packet):
        if packet.frame.index % 10:
            return packet
        return replace(packet, events=(Event(packet.frame.index, packet.frame.time_ns / 1e6),))
"""
FAULTS = (
    "drop=0.02&corrupt=0.05&jitter=30ms&freeze=800ms&freeze_every=4s&clock_jump=1h"
    "&clock_jump_every=5s&disconnect=500ms&disconnect_every=7s&resize_every=6s&live=1"
)
FPS = 25
SMALL = f"width=192&height=160&frames=1000000000&fps={FPS}"
HANGS_UP_S, KILLED_EVERY_S = 12.0, 30.0
EVERY_S = 1.0
FIRST_S = 5.0


@dataclass(frozen=True)
class Sample:
    """What the process holds at a moment."""

    at_ms: int
    frames: int
    """Processed so far."""
    blocks: int
    """Python objects' memory blocks, after a collection."""
    resident_bytes: int
    threads: int
    files: int
    """Open file descriptors."""


@dataclass(frozen=True)
class Soak:
    """A run under faults, second by second."""

    summary: RunSummary
    samples: NDArray[np.int64]
    """A row for each second, whose columns are the fields of Sample in their order; an array, so
    that watching does not look like a leak."""
    before: Sample
    after: Sample
    kills: int

    def growth(self, what: str, warm_up: float = 1 / 3) -> float:
        """Of `what` for each 1,000 frames after the warm-up, by the median of all slopes.

        That (Theil and Sen's slope) is moved by neither a peak nor a step that is not repeated.
        """
        columns = [field.name for field in fields(Sample)]
        at_ms = self.samples[:, 0]
        kept = self.samples[at_ms >= warm_up * at_ms[-1]]
        frames = kept[:, columns.index("frames")].astype(float)
        values = kept[:, columns.index(what)].astype(float)
        sooner, later = np.triu_indices(len(kept), max(1, len(kept) // 4))
        slopes = (values[later] - values[sooner]) / (frames[later] - frames[sooner])
        return 1000.0 * float(np.median(slopes))


def soak(seconds: float, folder: Path) -> Soak:
    """Run for so long, writing to `folder`; a short run before it loads what is loaded once."""
    app_folder(folder / "app", APP)
    with camera() as port:
        _run(FIRST_S, folder, port)
        before = sample(0, 0)
        result = _run(seconds, folder, port)
        time.sleep(0.5)
        return Soak(*result[:2], before, sample(round(1000 * seconds), 0), result[2])


def _run(seconds: float, folder: Path, port: int) -> tuple[RunSummary, NDArray[np.int64], int]:
    metrics, page = free_port(), free_port()
    served = [f"prometheus://127.0.0.1:{metrics}"] if available("prometheus_client") else []
    served += [f"web://127.0.0.1:{page}?fps=5"] if available("uvicorn") else []
    looked_at = (f"http://127.0.0.1:{metrics}/metrics", f"http://127.0.0.1:{page}/")
    sinks = (
        f"jsonl:{folder / 'events.jsonl'}",
        f"sqlite:{folder / 'events.db'}",
        f"snapshots:{folder / 'shots'}?every=5s&max=20",
        *served,
    )
    sources = (
        f"road=sim://traffic?seed=1&{SMALL}&{FAULTS}",
        f"belt=sim://line?seed=2&{SMALL}&{FAULTS}",
        f"gate=http://127.0.0.1:{port}/video?watchdog_ms=1500",
    )
    app = load_app(str(folder / "app"))
    samples = np.zeros((int(seconds / EVERY_S) + 2, len(fields(Sample))), np.int64)
    with prepare_run(app, RunRequest(sources, threads=1, sinks=sinks)) as run:
        over = threading.Event()
        watcher = threading.Thread(
            target=_watch, args=(run.pipeline, samples, over, seconds, looked_at)
        )
        watcher.start()
        try:
            summary = run.pipeline.run()
        finally:
            over.set()
            watcher.join()
    return summary, samples[samples[:, 1] > 0], int(seconds / KILLED_EVERY_S)


def _watch(
    pipeline: Pipeline,
    samples: NDArray[np.int64],
    over: threading.Event,
    seconds: float,
    looked_at: Sequence[str],
) -> None:
    """Takes samples, looks at page and metrics, kills the capture process, and ends the run."""
    begin, kills, taken = time.monotonic(), 0, 0
    while not over.wait(EVERY_S):
        passed = time.monotonic() - begin
        frames = sum(stream.frames_processed for stream in pipeline.progress())
        for address in looked_at:
            _look(address)
        if passed / KILLED_EVERY_S >= kills + 1:
            kills += 1
            kill_captures()
        if frames:
            samples[taken] = astuple(sample(round(1000 * passed), frames))
            taken += 1
        if passed >= seconds:
            pipeline.stop()
            return


def free_port() -> int:
    """One that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _look(address: str) -> None:
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:
        answer.read()


def kill_captures() -> None:
    """As the kernel does when memory is short."""
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                if b"child_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)


def sample(at_ms: int, frames: int) -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        at_ms,
        frames,
        sys.getallocatedblocks(),
        pages * os.sysconf("SC_PAGE_SIZE"),
        threading.active_count(),
        len(list(Path("/proc/self/fd").iterdir())),
    )


@contextmanager
def camera() -> Iterator[int]:
    """The port of a camera on http:// in a process of its own."""
    program = Path(__file__).parent / "partners" / "mjpeg_camera.py"
    server = subprocess.Popen(
        [sys.executable, str(program), str(HANGS_UP_S)], stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()
