"""The peers' own environment, `.venv-peers/`: their versions bind neither edgesdk nor its tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def peers_python() -> Path:
    """Its interpreter; made, and made again after a change of requirements.txt."""
    folder = ROOT / ".venv-peers"
    python, stamp = folder / "bin" / "python", folder / ".requirements"
    wanted = REQUIREMENTS.read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write("installing the peers into .venv-peers ...\n")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # torch first: the others ask for any torch, and another one would bring CUDA with it.
    torch = next(line for line in wanted.splitlines() if line.startswith("torch=="))
    subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)
    return python
