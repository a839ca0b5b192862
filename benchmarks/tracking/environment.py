"""The peers of tracking in an environment of their own."""

from __future__ import annotations

from pathlib import Path

from benchmarks import peers

ROOT = peers.ROOT


def peers_python() -> Path:
    """Its interpreter."""
    requirements = Path(__file__).with_name("requirements.txt")
    return peers.peers_python(ROOT / ".venv-peers-tracking", requirements, "trackers")
