"""Runs one step in a process of its own, with a limit, and says what it cost or why it failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Failed(Exception):
    """A step ended without an answer; its text is the reason."""


@dataclass(frozen=True)
class Done:
    """A step that ended well."""

    answer: dict[str, Any]
    """The JSON object at the end of its stdout."""
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def run(
    command: Sequence[str | Path], limit_seconds: float, extra: Mapping[str, str] | None = None
) -> Done:
    """Run a command at the root of the checkout. Raises Failed after the limit or an error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT, stdout=out, stderr=errors, env=environment, start_new_session=True,
        )  # fmt: skip
        late = threading.Event()

        def stop() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit_seconds, stop)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        texts = [_all(file) for file in (out, errors)]
    if late.is_set():
        raise Failed(f"stopped after {limit_seconds:.0f} s")
    start = max(texts[0].rfind("\n{"), 0) if not texts[0].startswith("{") else 0
    if process.returncode != 0:
        raise Failed(_reason(process.returncode, texts[1]))
    try:
        answer = json.loads(texts[0][start:])
    except ValueError:
        raise Failed(f"gave no answer: {texts[0][-200:]!r}") from None
    cpu = usage.ru_utime + usage.ru_stime
    return Done(answer, round(cpu, 2), round(wall, 2), round(usage.ru_maxrss / 1024))


def _all(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode(errors="replace")
    return text


def _reason(code: int, errors: str) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "")
    return f"exit code {code}: {said[:300]}".replace(str(ROOT), ".")
