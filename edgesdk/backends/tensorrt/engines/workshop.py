"""Engines on demand: out of the store where there is one, else built and kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from edgesdk.backends.base import ShowProgress, no_progress
from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.building.builder import BuildOrder, BuiltEngine, build_engine
from edgesdk.backends.tensorrt.building.built import Inspect
from edgesdk.backends.tensorrt.building.timing_cache import cache_path
from edgesdk.backends.tensorrt.engines.admission import trusted
from edgesdk.backends.tensorrt.engines.foreign import Plan
from edgesdk.backends.tensorrt.engines.key import EngineKey
from edgesdk.backends.tensorrt.engines.material import material_of
from edgesdk.backends.tensorrt.engines.record import EngineRecord
from edgesdk.backends.tensorrt.engines.store import EngineStore, StoredEngine
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import Bundle
from edgesdk.errors import BackendError
from edgesdk.model import Model

WAITING = "waiting for another build"
BUILT_ELSEWHERE = "built by another process"
TOLD = ("description", "task", "imgsz", "batch", "version")
"""Of Ultralytics' metadata: what a reader of the store may want to know."""


@dataclass(frozen=True)
class Workshop:
    """One TensorRT, one GPU and one store."""

    trt: TensorRT
    host: Host
    store: EngineStore
    memory_bytes: int | None = None
    """Of the device; bounds the workspace."""
    progress: ShowProgress = no_progress
    inspect: Inspect | None = None
    """None: the engine is loaded once and TensorRT's inspector asked."""
    bundle: Bundle | None = None
    """What calibration saw, for implicit INT8; None: only the graph is known."""
    current: Callable[[], AbstractContextManager[None]] = nullcontext
    """Makes the GPU current for a build; TensorRT takes the first by itself."""

    def ready(self, model: Model, default: EngineSettings) -> StoredEngine:
        """The engine to run `model` with: what was compiled last for this machine.

        Where nothing was compiled yet, one is built with the settings `default`. Where engines
        are there and none is for this machine, that is an error with the values that differ: to
        build for minutes is for the owner to ask. Raises BackendError.
        """
        found = self.store.usable(self.host)
        if found is None:
            for other in self.store.stored():
                if other.path.parent == self.store.folder():  # else of another board's, in a cache
                    self.load(other)  # says why it is not usable
            return self.compiled(model, default)
        return found

    def compiled(self, model: Model, settings: EngineSettings) -> StoredEngine:
        """The engine of exactly these settings on this machine as it is, built where need be."""
        found = self.sound(settings)
        if found is None:
            with self.store.alone(self._waits):
                # Whoever had the folder may have built this very engine.
                found = self.sound(settings)
                if found:
                    self.progress(BUILT_ELSEWHERE, 1.0, None)
                else:
                    found = self._built(model, settings)
        return found

    def built(self, model: Model, settings: EngineSettings) -> StoredEngine:
        """The same, built even where it is there already."""
        with self.store.alone(self._waits):
            return self._built(model, settings)

    def adopted(self, path: Path, settings: EngineSettings) -> StoredEngine:
        """Take in an engine that was built elsewhere, because its owner vouches for it.

        Ultralytics' header is taken off. Its graph, its settings and its GPU are the owner's word;
        the version of TensorRT is looked at. Raises BackendError.
        """
        plan = trusted(path, self.key(settings), self.store.bundle)
        blank = _record(self.key(settings), BuiltEngine(plan.data, self.host.tensorrt, 0.0))
        return self.store.save(plan.data, replace(blank, trusted=True, origin=_origin(path, plan)))

    def sound(self, settings: EngineSettings) -> StoredEngine | None:
        """The stored engine of exactly these settings for this machine, unless it is damaged."""
        found = self.store.find(self.key(settings))
        if found is None:
            return None
        try:
            self.load(found)
        except BackendError:
            return None  # it is replaced
        return found

    def load(self, stored: StoredEngine) -> bytes:
        """The bytes of an engine of the store, checked. Raises BackendError."""
        return self.store.load(stored, self.key(stored.record.key.settings))

    def weights(self, stored: StoredEngine, model: Model) -> Model | None:
        """The graph whose weights an engine without weights gets back; None: it has its own."""
        settings = stored.record.key.settings
        if not settings.strip_weights:
            return None
        return material_of(model, settings, self.bundle).model

    def key(self, settings: EngineSettings) -> EngineKey:
        """What an engine of these settings is called here."""
        return EngineKey(self.store.graph, settings, self.host)

    def _built(self, model: Model, settings: EngineSettings) -> StoredEngine:
        place = self.host.module or self.host.gpu
        gpu = f"{place}-sm{self.host.compute_capability.replace('.', '')}"
        material = material_of(model, settings, self.bundle)
        order = BuildOrder(
            memory_bytes=self.memory_bytes,
            timing_cache=cache_path(self.store.folder(), self.host.tensorrt, gpu),
            progress=self.progress,
            inspect=self.inspect,
            ranges=material.ranges,
            wanted_int8=material.wanted_int8,
            pinned=material.pinned,
        )
        with self.current():
            built = build_engine(self.trt, material.model, settings, order)
        built = replace(built, warnings=(*built.warnings, *material.warnings))
        return self.store.save(built.data, _record(self.key(settings), built))

    def _waits(self) -> None:
        self.progress(WAITING, 0.0, None)


def _record(key: EngineKey, built: BuiltEngine) -> EngineRecord:
    """All but what the store fills in."""
    return EngineRecord(
        key=key,
        sha256="",
        size_bytes=0,
        created="",
        sdk_version="",
        seconds=built.seconds,
        layers=built.layers,
        dla=built.dla,
        warnings=built.warnings,
        log=built.log,
    )


def _origin(path: Path, plan: Plan) -> str:
    """Where an engine came from, for people."""
    told = [f"{name} {plan.metadata[name]}" for name in TOLD if name in plan.metadata]
    ultralytics = f", exported by Ultralytics ({', '.join(told)})" if plan.metadata else ""
    return f"{path.name}, {plan.words}{ultralytics}"
