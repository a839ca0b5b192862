"""Facts of the board and of what is installed, read from files; no command is run."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

from edgesdk.backends.tensorrt.machine.driver import Driver
from edgesdk.board import jetpack_of, read_board
from edgesdk.devices import load_jetpacks
from edgesdk.fieldreport.part import Part, json_part
from edgesdk.report import read_machine

_BOARD_FILES = (
    "proc/device-tree/model",
    "proc/device-tree/compatible",
    "etc/nv_tegra_release",
    "etc/nv_boot_control.conf",
    "var/lib/nvpmodel/status",
    "proc/meminfo",
    "proc/loadavg",
)
"""Short texts of the system. Not among them: the kernel's command line, serial numbers."""
_POWER_TABLE = "etc/nvpmodel.conf"
_PACKAGES = re.compile(
    r"(nvidia-l4t-(core|cuda|firmware|kernel|dla-compiler|init)|nvidia-jetpack|libnvinfer|"
    r"libnvonnxparsers|tensorrt|python3-libnvinfer|libcudnn|cuda-(cudart|nvcc|nvrtc|driver|toolkit)|"
    r"nvidia-container|python3-opencv|nvidia-opencv|libopencv$)"
)


def board_part(root: Path) -> Part:
    """Which board this is and how it runs now: strings, clocks, temperatures, power mode."""
    board = read_board(root)
    jetpack = jetpack_of(board, load_jetpacks()) if board else None
    files = {name: _text(root / name) for name in _BOARD_FILES}
    value = {
        "board": board,
        "jetpack": jetpack.name if jetpack else "",
        "machine": read_machine(root),
        "files": {name: text for name, text in files.items() if text},
        "temperatures_c": _temperatures(root),
    }
    return json_part(
        "board.json", "the board's own strings, clocks, temperatures, power mode", value
    )


def power_part(root: Path) -> Part | None:
    """The power modes that this board offers; None where there are none."""
    text = _text(root / _POWER_TABLE)
    return Part("nvpmodel.conf", "the power modes that the board offers", text) if text else None


def versions_part(root: Path, driver: Driver) -> Part:
    """Driver, GPUs, CUDA, TensorRT and NVIDIA's packages."""
    value = {
        "driver": driver,
        "cuda": _cuda(root),
        "packages": _debian_packages(root),
        "compilers": [
            name for name in ("nvcc", "ptxas") if (root / "usr/local/cuda/bin" / name).exists()
        ],
    }
    return json_part("versions.json", "CUDA driver, GPUs, CUDA, TensorRT, NVIDIA's packages", value)


def python_part() -> Part:
    """Name and version of each package that Python sees here: what pip list shows."""
    pairs = {(dist.metadata["Name"], dist.version) for dist in importlib.metadata.distributions()}
    lines = sorted(f"{name}=={version}" for name, version in pairs if name)
    what = "names and versions of the installed Python packages"
    return Part("python-packages.txt", what, "\n".join(lines) + "\n")


def _temperatures(root: Path) -> dict[str, float]:
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    pairs = ((_text(zone / "type"), _text(zone / "temp")) for zone in zones)
    return {name: int(value) / 1000 for name, value in pairs if value.lstrip("-").isdigit()}


def _cuda(root: Path) -> str:
    """Version of the CUDA toolkit, e.g. "12.6.68"; empty: none in its usual place."""
    try:
        table = json.loads(_text(root / "usr/local/cuda/version.json") or "{}")
        return str(table.get("cuda", {}).get("version", ""))
    except (ValueError, AttributeError):
        return ""


def _debian_packages(root: Path) -> dict[str, str]:
    """NVIDIA's packages that are installed, with their versions."""
    text = _text(root / "var/lib/dpkg/status")
    found: dict[str, str] = {}
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.+)$", block, re.M))
        name = fields.get("Package", "")
        if _PACKAGES.match(name) and fields.get("Status", "").endswith(" installed"):
            found[name] = fields.get("Version", "")
    return dict(sorted(found.items()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ").replace("\0", ", ")
    except OSError:
        return ""
