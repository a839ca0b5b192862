"""Runs the command `edgesdk` as a user does: a process of its own, with its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def edgesdk(
    *arguments: object, cwd: Path | None = None, timeout_s: float = 240
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "edgesdk", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout_s
    )
