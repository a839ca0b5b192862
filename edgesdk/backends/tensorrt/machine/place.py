"""Where this process runs, as far as it decides what mends TensorRT: board, container, venv."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from edgesdk.board import jetpack_of, read_board
from edgesdk.devices import JetPack, load_jetpacks


@dataclass(frozen=True)
class Place:
    """What the probe has to know beside the driver."""

    on_board: bool = False
    in_container: bool = False
    jetpack: JetPack | None = None
    """None: no Jetson, or one whose Jetson Linux is not in jetpack.toml."""
    python: str = ""
    """E.g. "3.10.12"."""
    shut_venv: bool = False
    """True in a virtual environment that does not see the system's packages."""
    may_open_gpu: bool = True
    """False on a board where this user may not open the GPU's device files."""

    @property
    def lacks_runtime(self) -> bool:
        """Whether it looks like a board's container that was started without the GPU."""
        return self.on_board and self.in_container


DEVICE_FILES = ("dev/nvmap", "dev/nvhost-ctrl-gpu", "dev/nvgpu/igpu0/ctrl")
"""What CUDA opens on a Jetson; which of them there are depends on the version of Jetson Linux."""


def this_place(root: Path = Path("/")) -> Place:
    """Look around; `root` is where files are read. Raises nothing."""
    board = read_board(root)
    # A container hides the device tree, but not which kernel it runs on.
    kernel = _text(root / "proc/sys/kernel/osrelease")
    containers = (".dockerenv", "run/.containerenv")
    return Place(
        on_board=board is not None or kernel.endswith("-tegra"),
        in_container=any((root / name).exists() for name in containers),
        jetpack=jetpack_of(board, load_jetpacks()) if board else None,
        python=platform.python_version(),
        shut_venv=_is_shut(Path(sys.prefix), Path(sys.base_prefix)),
        may_open_gpu=all(_may_open(root / name) for name in DEVICE_FILES),
    )


def _is_shut(prefix: Path, base: Path) -> bool:
    settings = _text(prefix / "pyvenv.cfg").lower().replace(" ", "")
    return prefix != base and "include-system-site-packages=true" not in settings.split("\n")


def _may_open(path: Path) -> bool:
    """True for what is absent: its absence is another trouble than its rights."""
    return not path.exists() or os.access(path, os.R_OK | os.W_OK)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
