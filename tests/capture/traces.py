"""What a process holds: to see that nothing is left."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path


def children() -> set[int]:
    """Living child processes, zombies included, of this one."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(status.parent.name))
    return found


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def shared_memory() -> int:
    """Mappings of frames in this process."""
    return Path("/proc/self/maps").read_text().count("edgesdk-frames")


def held() -> dict[str, object]:
    return {
        "children": children(),
        "files": open_files(),
        "memory": shared_memory(),
        "threads": {t.name for t in threading.enumerate()},
    }


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, within_s: float = 15.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
