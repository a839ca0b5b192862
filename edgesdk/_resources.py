"""Finds the data folders (devices, calibration, apps): in the wheel or in the checkout."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """The folder of shipped data called `name`, e.g. "devices"."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def data_folders(name: str) -> tuple[Path, ...]:
    """The shipped folder and, where EDGESDK_PATH names any, the user's own ones after it.

    EDGESDK_PATH is a list of folders (":" between them), each laid out like the
    checkout: a file `devices/my-board.toml` under one of them adds a device.
    """
    own = [Path(p) / name for p in os.environ.get("EDGESDK_PATH", "").split(os.pathsep) if p]
    return (data_folder(name), *(p for p in own if p.is_dir()))


def cache_folder() -> Path:
    """Where downloads and other things that can be made again are kept (EDGESDK_CACHE)."""
    named = os.environ.get("EDGESDK_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "edgesdk"


def assets_folder() -> Path | None:
    """The folder of third-party models and data (EDGESDK_ASSETS), if there is one."""
    named = os.environ.get("EDGESDK_ASSETS")
    folder = Path(named) if named else _PACKAGE.parent.parent / "shared" / "assets"
    return folder if folder.is_dir() else None
