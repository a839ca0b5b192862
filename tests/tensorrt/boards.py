"""A recorded Orin NX with a double of TensorRT on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesdk.backends.base import Probe
from edgesdk.backends.tensorrt.backend import Machinery
from edgesdk.backends.tensorrt.machine.driver import Driver, Gpu
from tests.tensorrt_double import make_tensorrt

ORIN_NX = Gpu("Orin", "8.7", True, 16 << 30, 8)


def orin_nx(root: Path, mode: int = 0) -> Path:
    """The files of an Orin NX 16GB in a power mode."""
    compatible = root / "proc/device-tree/compatible"
    compatible.parent.mkdir(parents=True, exist_ok=True)
    compatible.write_text("nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234\0")
    status = root / "var/lib/nvpmodel/status"
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text(f"pmode:{mode:04d}\n")
    return root


def machinery(
    root: Path, version: str = "10.3.0", gpu: Gpu = ORIN_NX, trt: Any = None
) -> Machinery:
    """Everything that the backend reaches out to, as if the driver and TensorRT were there."""
    module = trt or make_tensorrt(version)
    return Machinery(
        driver=lambda: Driver("12.6", (gpu,)),
        probe=lambda driver: Probe("tensorrt", not driver.problem, version, driver.problem),
        module=lambda: module,
        root=root,
    )
