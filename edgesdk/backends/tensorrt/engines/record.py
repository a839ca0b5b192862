"""The JSON beside an engine: what it is, what runs in it, and what its bytes are."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk import _config
from edgesdk.backends.tensorrt.building.built import DlaReport, EngineLayer
from edgesdk.backends.tensorrt.engines.key import EngineKey
from edgesdk.errors import BackendError, ConfigError, EdgeError

FORMAT = 1
"""Raised when a reader of an older version would misunderstand the file."""
MOST_JSON = 64 << 20
"""Bytes; an engine of ten thousand layers has about 5 MB."""


@dataclass(frozen=True)
class EngineRecord:
    """All that is known of one stored engine."""

    key: EngineKey
    sha256: str
    """Of the engine's file."""
    size_bytes: int
    created: str
    """UTC, ISO 8601."""
    sdk_version: str
    seconds: float
    """That the build took; 0 for an engine that was built elsewhere."""
    layers: tuple[EngineLayer, ...] = ()
    """As the engine inspector lists them; empty where it could not be asked."""
    dla: DlaReport | None = None
    """What runs on DLA and what fell back; None: DLA was not asked for."""
    warnings: tuple[str, ...] = ()
    """What a user of the engine should know, in sentences; INT8 that was not honoured first."""
    log: tuple[str, ...] = ()
    """Warnings of TensorRT's own while it built."""
    trusted: bool = False
    """True: it was built elsewhere and taken in by --adopt --trust, so that what its key says of
    graph and settings is the word of who did that."""
    origin: str = ""
    """Of a trusted one: its file, and what Ultralytics' header said."""
    format: int = field(default=FORMAT)

    @property
    def precisions(self) -> dict[str, int]:
        """How many layers compute in each precision, the most frequent first."""
        names = [layer.precision for layer in self.layers]
        return dict(sorted(((n, names.count(n)) for n in set(names)), key=lambda item: -item[1]))

    def to_json(self) -> str:
        """The file's whole content."""
        return json.dumps(_config.plain(self), indent=1, allow_nan=False) + "\n"


def read_record(path: Path) -> EngineRecord:
    """Read the JSON beside an engine.

    Raises BackendError when it is absent, no plain file, damaged, or of a newer edgesdk.
    """
    try:
        table = json.loads(read_plain(path, MOST_JSON).decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BackendError(f"{path}: not readable as JSON: {error}") from error
    found = table.get("format") if isinstance(table, dict) else None
    if found != FORMAT:
        raise BackendError(f"{path}: format {found!r}; this edgesdk reads format {FORMAT}")
    try:
        return _config.parse(EngineRecord, table, str(path))
    except EdgeError as error:
        where = "" if isinstance(error, ConfigError) else f"{path}: "
        raise BackendError(f"{where}{error.message}", error.hint) from error


def read_plain(path: Path, most: int) -> bytes:
    """Content of a plain file: no link, no pipe, no device, at most so many bytes.

    A link could lead to what somebody else may change after it was checked. Raises BackendError.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = "a link, and engines are plain files" if path.is_symlink() else error.strerror
        raise BackendError(f"{path} cannot be read: {what}") from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise BackendError(f"{path} cannot be read: it is no plain file")
        if found.st_size > most:
            raise BackendError(f"{path} has {found.st_size} bytes, and at most {most} are expected")
        try:
            return file.read(most + 1)
        except OSError as error:
            raise BackendError(f"{path} cannot be read: {error.strerror}") from error
