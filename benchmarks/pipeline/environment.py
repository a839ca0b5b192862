"""The peers of the pipeline in an environment of their own."""

from __future__ import annotations

from pathlib import Path

from benchmarks import peers

FOLDER = peers.ROOT / ".venv-peers-pipeline"


def peers_python() -> Path:
    """Its interpreter."""
    requirements = Path(__file__).with_name("requirements.txt")
    return peers.peers_python(FOLDER, requirements, "6 GB: torch with CUDA")


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
