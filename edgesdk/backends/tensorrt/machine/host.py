"""What an engine is bound to: this machine, as far as TensorRT's choices depend on it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from edgesdk.backends.tensorrt.machine.driver import Gpu
from edgesdk.board import read_board, read_power_mode, recognise
from edgesdk.devices import device_names, load_device


@dataclass(frozen=True)
class Host:
    """Where an engine was built, or shall run. An empty text or 0: not known."""

    tensorrt: str
    """As the module says it, e.g. "10.3.0"."""
    compute_capability: str
    gpu: str
    """The driver's name for it."""
    module: str
    """Name of the device profile, e.g. "orin-nx-16gb"; empty where no profile is surely this one,
    and on everything that is no Jetson."""
    platform: str
    """Operating system and architecture, e.g. "linux-aarch64"."""
    sm_count: int
    power_mode: str
    """Number of nvpmodel's mode; empty where there is none."""


def read_host(tensorrt: str, gpu: Gpu, root: Path = Path("/")) -> Host:
    """This machine, or the recorded one under `root`. Raises nothing."""
    board = read_board(root)
    profile = recognise(board, map(load_device, device_names())) if board else None
    return Host(
        tensorrt=tensorrt,
        compute_capability=gpu.compute_capability,
        gpu=gpu.name,
        module=profile.name if profile else "",
        platform=f"{platform.system()}-{platform.machine()}".lower(),
        sm_count=gpu.sm_count,
        power_mode=read_power_mode(root),
    )
