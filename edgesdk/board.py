"""Which Jetson this is, read from the files that Jetson Linux keeps; None on anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgesdk.devices import DeviceProfile, JetPack

_PART = re.compile(r"p\d{4}-\d{4}")
_RELEASE = re.compile(r"R(\d+) \(release\), REVISION: ([\d.]+)")
_POWER_MODE = re.compile(r"pmode:(\d+)")


@dataclass(frozen=True)
class Board:
    """What a running Jetson says of itself."""

    model: str
    """As /proc/device-tree/model has it, for people."""
    parts: tuple[str, ...]
    """NVIDIA's part numbers of carrier and module, e.g. ("p3768-0000", "p3767-0005")."""
    is_super: bool
    """Flashed as Super: more clocks, and another nvpmodel table."""
    l4t: str
    """Version of Jetson Linux, e.g. "36.4.3"; empty when not found."""
    memory_gib: float
    """MemTotal; somewhat less than the module has. 0 when not found."""


def read_board(root: Path = Path("/")) -> Board | None:
    """The board under `root` (a recorded tree, or this machine), or None where it is no Jetson."""
    compatible = _text(root / "proc/device-tree/compatible").replace("\0", "\n")
    release = _RELEASE.search(_text(root / "etc/nv_tegra_release"))
    if "nvidia,tegra" not in compatible and not release:
        return None
    memory = re.search(r"MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"))
    return Board(
        model=_text(root / "proc/device-tree/model").strip("\0\n "),
        parts=tuple(dict.fromkeys(_PART.findall(compatible))),
        is_super="-super" in compatible,
        l4t=".".join(release.groups()) if release else "",
        memory_gib=int(memory[1]) / 2**20 if memory else 0.0,
    )


def recognise(board: Board, profiles: Iterable[DeviceProfile]) -> DeviceProfile | None:
    """The profile of the board's module, or None when no profile is surely its own.

    By part number. Only a board that states none is told by its model's name and its memory.
    """
    candidates = list(profiles)
    if board.parts:
        ours = (p for p in candidates if set(p.recognised_by.module_parts) & set(board.parts))
        return next(ours, None)
    model = board.model.lower()
    likely = [
        p
        for p in candidates
        if p.recognised_by.model_contains
        and p.recognised_by.model_contains in model
        and p.recognised_by.memory_gib_min <= board.memory_gib
    ]
    return max(likely, key=lambda p: p.recognised_by.memory_gib_min, default=None)


def jetpack_of(board: Board, jetpacks: Iterable[JetPack]) -> JetPack | None:
    """The JetPack that the board's version of Jetson Linux belongs to."""
    return next((jetpack for jetpack in jetpacks if board.l4t in jetpack.l4t), None)


def read_power_mode(root: Path = Path("/")) -> str:
    """Number of the mode that nvpmodel is in, e.g. "0"; empty where there is no nvpmodel."""
    mode = _POWER_MODE.search(_text(root / "var/lib/nvpmodel/status"))
    return str(int(mode[1])) if mode else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
