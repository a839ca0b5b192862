"""Environments of the peers, apart from the project's: edgesdk neither needs nor imports them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def peers_python(folder: Path, requirements: Path, size: str) -> Path:
    """The interpreter of the environment in `folder`; made, and made again after a change of
    `requirements`. `size` is told to who waits."""
    python, stamp = folder / "bin" / "python", folder / ".requirements"
    wanted = requirements.read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"installing the peers into {folder.name} ({size}) ...\n")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Every version is listed, so nothing has to be worked out, and no second OpenCV comes along.
    subprocess.run([*pip, "--no-deps", "-r", str(requirements)], check=True)
    stamp.write_text(wanted)
    return python
