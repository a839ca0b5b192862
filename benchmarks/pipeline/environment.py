"""The peers' own environment, apart from the project's: edgesdk neither needs nor imports them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = ROOT / ".venv-peers-pipeline"


def peers_python() -> Path:
    """Its interpreter; made, and made again after a change of requirements.txt."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".requirements"
    wanted = REQUIREMENTS.read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"installing the peers into {FOLDER.name} (6 GB: torch with CUDA) ...\n")
    subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Every version is listed, so nothing has to be worked out, and no second OpenCV comes along.
    subprocess.run([*pip, "--no-deps", "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)
    return python


def quiet() -> dict[str, str]:
    """Environment variables that keep the peers from the network and from the user's settings."""
    place = FOLDER / "settings"
    place.mkdir(parents=True, exist_ok=True)
    return {
        "YOLO_CONFIG_DIR": str(place),
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "MPLCONFIGDIR": str(place),
    }
