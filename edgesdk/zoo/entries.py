"""What is known of each model: one TOML file in `models/`, its file name is the model's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk import _config
from edgesdk._resources import data_folders
from edgesdk.errors import UnknownName
from edgesdk.spec import ModelSpec, spec_from_table

_SHIPPED = Path(__file__).resolve().parent / "models"


@dataclass(frozen=True)
class ZooEntry:
    """A third-party model: none of them is part of edgesdk, each keeps its own licence."""

    name: str
    title: str
    task: str
    """What it does and on which classes, for people."""
    file: str
    """Name of the ONNX file in the cache and under EDGESDK_ASSETS."""
    url: str
    """Pinned to a commit; empty where the file is not published by itself, see `origin`."""
    sha256: str
    size_bytes: int
    licence: str
    """As its origin states it, or "not stated"."""
    origin: str
    """Where it comes from, and without a URL how to get it."""
    spec: ModelSpec


@dataclass(frozen=True)
class _EntryFile:
    title: str
    task: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    origin: str
    spec: dict[str, Any]
    url: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 should be 64 hexadecimal digits, found {self.sha256!r}")
        if self.file != Path(self.file).name:
            raise ValueError(f"file should be a name without folders, found {self.file!r}")
        if self.size_bytes < 1:
            raise ValueError(f"size_bytes should be 1 or more, found {self.size_bytes}")


def zoo_names() -> tuple[str, ...]:
    """Names of the models, sorted."""
    return tuple(sorted(_files()))


def load_entry(name: str) -> ZooEntry:
    """The entry called `name`.

    Raises UnknownName with the nearest names, and ConfigError for a file that is wrong.
    """
    files = _files()
    if name not in files:
        raise UnknownName("model in the zoo", name, files)
    path = files[name]
    file = _config.read(_EntryFile, path)
    return ZooEntry(
        name=name,
        title=file.title,
        task=file.task,
        file=file.file,
        url=file.url,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        licence=file.licence,
        origin=file.origin,
        spec=spec_from_table(file.spec, path),
    )


def find_by_digest(sha256: str) -> ZooEntry | None:
    """The entry whose file has this digest, so that a known model brings its own spec."""
    entries = (load_entry(name) for name in zoo_names())
    return next((entry for entry in entries if entry.sha256 == sha256), None)


def _files() -> dict[str, Path]:
    """Name -> file. A user's own `zoo/NAME.toml` (EDGESDK_PATH) goes before a shipped one."""
    folders = (_SHIPPED, *data_folders("zoo")[1:])
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}
