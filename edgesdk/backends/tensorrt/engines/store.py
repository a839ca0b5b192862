"""Engines kept beside their bundle, found by key.

For `model.edge` there is a folder `model.edge.engines`, with two files for each engine: a plain
TensorRT file `<fingerprint>.engine`, and `<fingerprint>.json` with its key, its SHA-256 and its
layers. Where the bundle stands on a medium that takes no files, the folder is one of the user's
cache, named by the graph; both are looked into. `admission` decides what may be loaded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from edgesdk._digest import sha256_bytes
from edgesdk._files import clear_abandoned, write_atomic
from edgesdk._resources import cache_folder
from edgesdk._version import __version__
from edgesdk.backends.tensorrt.engines.admission import admitted
from edgesdk.backends.tensorrt.engines.key import Difference, EngineKey
from edgesdk.backends.tensorrt.engines.record import EngineRecord, read_record
from edgesdk.backends.tensorrt.engines.turns import turn
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import Bundle
from edgesdk.errors import BackendError

KEPT = 8
"""So many engines of one graph stay in a folder: the newest."""
KEPT_GRAPHS = 16
"""So many folders stay in the cache: those that were written to last."""
LOCKS = (".lock", ".building")
"""For the pair of files of one engine; for a whole build."""


@dataclass(frozen=True)
class StoredEngine:
    """An engine in a store."""

    path: Path
    """Of the engine; the JSON beside it has the same name with .json."""
    record: EngineRecord
    differences: tuple[Difference, ...] = ()
    """From what was wanted. Of one that `usable` gives, none refuses, but people should know."""


@dataclass(frozen=True)
class EngineStore:
    """The engines of one graph."""

    graph: str
    """SHA-256 of model.onnx."""
    folders: tuple[Path, ...]
    """Looked into in this order; written to the first that takes files."""
    bundle: str = "BUNDLE"
    """As typed, for the command in messages."""

    @classmethod
    def beside(cls, bundle: Bundle) -> EngineStore:
        """The store of a bundle."""
        path = bundle.path.resolve()
        own = path.with_name(f"{path.name}.engines")
        return cls(bundle.graph_digest, (own, _cached(bundle.graph_digest)), str(bundle.path))

    @classmethod
    def cached(cls, graph: str) -> EngineStore:
        """The store of a graph that belongs to no bundle, such as an app's float model."""
        return cls(graph, (_cached(graph),))

    def stored(self) -> tuple[StoredEngine, ...]:
        """All that have both files and a JSON that can be read, newest first."""
        found: list[StoredEngine] = []
        for folder in self.folders:
            for path in sorted(folder.glob("*.json")):
                engine = path.with_suffix(".engine")
                with contextlib.suppress(BackendError):
                    record = read_record(path)
                    found += [StoredEngine(engine, record)] if engine.is_file() else []
        return tuple(sorted(found, key=lambda each: each.record.created, reverse=True))

    def unusable(self) -> tuple[str, ...]:
        """Why files in the folders are no engines of ours, in sentences."""
        said: list[str] = []
        for folder in self.folders:
            for path in sorted(folder.glob("*.engine")):
                if not path.with_suffix(".json").exists():
                    said.append(f"{path} has no JSON beside it")
            for path in sorted(folder.glob("*.json")):
                try:
                    read_record(path)
                except BackendError as error:
                    said.append(error.message)
        return tuple(said)

    def find(self, key: EngineKey) -> StoredEngine | None:
        """The engine of exactly this key, or None."""
        for folder in self.folders:
            path = folder / f"{key.fingerprint}.engine"
            with contextlib.suppress(BackendError):
                record = read_record(path.with_suffix(".json"))
                if record.key == key and path.is_file():
                    return StoredEngine(path, record)
        return None

    def usable(self, host: Host, settings: EngineSettings | None = None) -> StoredEngine | None:
        """The best engine that runs on this host, or None.

        `settings` None: those of the engine that was compiled last, because who compiled it has
        chosen. Among engines of these settings, the one with the fewest differences.
        """
        fitting: list[StoredEngine] = []
        for each in self.stored():
            key = each.record.key
            wanted = EngineKey(self.graph, settings or key.settings, host)
            differences = key.differences(wanted)
            if not any(difference.refuses for difference in differences):
                fitting.append(replace(each, differences=differences))
        same = [e for e in fitting if e.record.key.settings == fitting[0].record.key.settings]
        return min(same, key=lambda each: len(each.differences), default=None)

    def save(self, data: bytes, record: EngineRecord) -> StoredEngine:
        """Keep an engine under `record.key`; its size, digest and date are filled in here.

        Each file is written beside its place and renamed, the JSON last. Two processes that save
        the same key take turns, so that no JSON ever stands beside the other's engine. Afterwards
        `prune` keeps the folder bounded. Raises EdgeError when nothing can be written; then
        nothing is left behind.
        """
        folder = self.folder()
        path = folder / f"{record.key.fingerprint}.engine"
        record = replace(
            record,
            sha256=sha256_bytes(data),
            size_bytes=len(data),
            created=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            sdk_version=__version__,
        )
        with _removed_if_unused(folder), turn(folder / LOCKS[0]):
            _write_pair(path, data, record)
            self.prune(folder)
        _prune_cache()
        return StoredEngine(path, record)

    def load(self, stored: StoredEngine, wanted: EngineKey) -> bytes:
        """The engine's bytes, after everything about them was found to be as it should.

        Raises BackendError with the values that differ and the command that mends it.
        """
        return admitted(stored.path, wanted, self.bundle).data

    def prune(self, folder: Path) -> tuple[Path, ...]:
        """Remove engines of other graphs, engines beyond KEPT, and what killed processes left.

        An engine of another graph can never be used again: the bundle was built anew. Only
        engines with a readable JSON are touched: a file that somebody put here stays.
        """
        ours: list[tuple[str, Path]] = []
        gone: list[Path] = []
        for path in folder.glob("*.json"):
            with contextlib.suppress(BackendError):
                record = read_record(path)
                if record.key.graph == self.graph:
                    ours.append((record.created, path))
                else:
                    gone.append(path)
        gone += [path for _, path in sorted(ours, reverse=True)[KEPT:]]
        for path in gone:
            for each in (path, path.with_suffix(".engine")):
                with contextlib.suppress(OSError):
                    each.unlink()
        clear_abandoned(folder)
        return tuple(gone)

    @contextlib.contextmanager
    def alone(self, waits: Callable[[], None]) -> Iterator[None]:
        """Hold the folder for a build; `waits` is called once when another process has it.

        Not for the files, which are safe anyway: TensorRT chooses kernels by timing them, and two
        builds on one GPU would time each other.
        """
        folder = self.folder()
        with _removed_if_unused(folder), turn(folder / LOCKS[1], waits):
            yield

    def folder(self) -> Path:
        """The first folder that takes files; when none does, the first, whose error is told."""
        return next((folder for folder in self.folders if _takes_files(folder)), self.folders[0])


def _cache() -> Path:
    return cache_folder() / "engines"


def _cached(graph: str) -> Path:
    return _cache() / graph[:16]


def _prune_cache() -> None:
    with contextlib.suppress(OSError):
        folders = [path for path in _cache().iterdir() if path.is_dir()]
        folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for old in folders[KEPT_GRAPHS:]:
            shutil.rmtree(old, ignore_errors=True)


def _takes_files(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _write_pair(path: Path, data: bytes, record: EngineRecord) -> None:
    fresh = not path.exists()
    write_atomic(path, data)
    try:
        write_atomic(path.with_suffix(".json"), record.to_json())
    except BaseException:
        if fresh:  # an engine without its JSON would only be refused
            path.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _removed_if_unused(folder: Path) -> Iterator[None]:
    """Remove the folder afterwards when it was made meanwhile and holds nothing but locks."""
    was_there = folder.exists()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if not was_there and {path.name for path in folder.iterdir()} <= set(LOCKS):
                for name in LOCKS:
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()
