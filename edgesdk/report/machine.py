"""What this machine is and how fast its clocks may run, read from /proc, /etc and /sys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk.board import read_board, read_power_mode

ARM_CORES = {
    ("0x41", "0xd07"): "Arm Cortex-A57",
    ("0x41", "0xd42"): "Arm Cortex-A78AE",
    ("0x41", "0xd83"): "Arm Neoverse-V3AE",
    ("0x4e", "0x003"): "NVIDIA Denver 2",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}
"""(implementer, part) of Jetson CPUs, from Linux arch/arm64/include/asm/cputype.h."""


@dataclass(frozen=True)
class ClockDomain:
    """One clock of the machine and the limits it moves between."""

    name: str
    """E.g. "policy0" (CPU) or "17000000.gpu"."""
    unit: Literal["cpu", "other"]
    current_mhz: float
    """Read just after the measurement."""
    min_mhz: float
    max_mhz: float
    governor: str

    @property
    def locked(self) -> bool:
        """True when it cannot move, or only upwards: what `jetson_clocks` sees to."""
        return self.governor == "performance" or self.min_mhz == self.max_mhz


@dataclass(frozen=True)
class Machine:
    """The machine that measured. An empty text or 0: could not be read."""

    cpu: str
    """Model name of the processor."""
    cores: int
    """Logical processors."""
    memory_bytes: int
    os: str
    kernel: str
    board: str
    """Name of the Jetson board; empty: this is not a Jetson."""
    jetson_linux: str
    """Version of Jetson Linux (L4T) on it."""
    power_mode: str
    """Number of nvpmodel's mode on a Jetson."""
    virtual: bool
    """True in a virtual machine, where clocks are hidden and neighbours unknown."""
    clocks: tuple[ClockDomain, ...]


def read_machine(root: Path = Path("/")) -> Machine:
    """Read the machine under `root` ("/", or a recorded tree). Raises nothing."""
    cpuinfo = _text(root / "proc/cpuinfo")
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', _text(root / "etc/os-release"), re.M)
    board = read_board(root)
    return Machine(
        cpu=_cpu_name(cpuinfo),
        cores=len(re.findall(r"^processor\s*:", cpuinfo, re.M)),
        memory_bytes=int(memory[1]) * 1024 if memory else 0,
        os=system[1] if system else "",
        kernel=_text(root / "proc/sys/kernel/osrelease"),
        board=(board.model or "Jetson") if board else "",
        jetson_linux=board.l4t if board else "",
        power_mode=read_power_mode(root),
        virtual=bool(re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.M)),
        clocks=read_clocks(root),
    )


def read_clocks(root: Path = Path("/")) -> tuple[ClockDomain, ...]:
    """CPU clocks (kHz in sysfs) and devfreq ones, among them a Jetson's GPU (Hz in sysfs)."""
    cpu = root / "sys/devices/system/cpu"
    policies = sorted(cpu.glob("cpufreq/policy*")) or sorted(cpu.glob("cpu[0-9]*/cpufreq"))
    others = sorted((root / "sys/class/devfreq").glob("*"))
    found = [_clock(folder, "cpu", "scaling_", 1e3) for folder in policies]
    found += [_clock(folder, "other", "", 1e6) for folder in others]
    return tuple(clock for clock in found if clock is not None)


def _clock(
    folder: Path, unit: Literal["cpu", "other"], prefix: str, per_mhz: float
) -> ClockDomain | None:
    name = folder.parent.name if folder.name == "cpufreq" else folder.name
    values = [_text(folder / f"{prefix}{which}_freq") for which in ("cur", "min", "max")]
    if not all(value.isdigit() for value in values):
        return None
    current, low, high = (round(int(value) / per_mhz, 3) for value in values)
    return ClockDomain(name, unit, current, low, high, _text(folder / f"{prefix}governor"))


def _cpu_name(cpuinfo: str) -> str:
    """The model's name; an Arm processor says only numbers, which the table names."""
    fields = dict(re.findall(r"^(model name|CPU implementer|CPU part)\s*: *(.+)$", cpuinfo, re.M))
    arm = ARM_CORES.get((fields.get("CPU implementer", ""), fields.get("CPU part", "")))
    return arm or fields.get("model name", "").strip()


def _text(path: Path) -> str:
    """The file's text without its end; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
