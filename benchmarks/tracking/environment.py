"""The peers' own environment, apart from the project's: edgesdk neither needs nor imports them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = ROOT / ".venv-peers-tracking"


def peers_python() -> Path:
    """Its interpreter; made, and made again after a change of requirements.txt."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".requirements"
    wanted = REQUIREMENTS.read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"installing the peers into {FOLDER.name} ...\n")
    subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)
    return python
