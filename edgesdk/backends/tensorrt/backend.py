"""The TensorRT backend: engines come out of a store, sessions run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from edgesdk._optional import require
from edgesdk.backends.base import Engine, Probe, Session
from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.built import Inspect, ShowProgress, no_progress
from edgesdk.backends.tensorrt.driver import Driver, Gpu, probe_driver
from edgesdk.backends.tensorrt.host import read_host
from edgesdk.backends.tensorrt.probe import probe
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.backends.tensorrt.store import EngineStore, StoredEngine
from edgesdk.backends.tensorrt.workshop import Workshop
from edgesdk.errors import BackendError, UsageError
from edgesdk.model import Model


@dataclass(frozen=True)
class TensorRTEngine(Engine):
    """A stored engine, ready to be opened."""

    settings: EngineSettings = field(default_factory=EngineSettings)
    """That it was built with: DLA core, and whether it carries a runtime or lacks weights."""
    model: Model | None = None
    """Where the weights of an engine that was stripped of them come from."""


def load_tensorrt() -> TensorRT:
    """The module. Raises MissingExtra."""
    return cast(TensorRT, require("tensorrt", "compile and run models on the GPU"))


@dataclass(frozen=True)
class Machinery:
    """What the backend reaches out to. Tests give doubles; nobody else needs to."""

    driver: Callable[[], Driver] = probe_driver
    probe: Callable[[Driver], Probe] = probe
    module: Callable[[], TensorRT] = load_tensorrt
    session: Callable[[TensorRT, int, TensorRTEngine], Session] | None = None
    """Opens an engine on the GPU of this index."""
    inspect: Inspect | None = None
    root: Path = Path("/")
    """Where the machine is read from."""


class TensorRTBackend:
    """Compiles on the machine that has the GPU, and runs there."""

    name = "tensorrt"

    def __init__(
        self,
        store: EngineStore | None = None,
        default: EngineSettings | None = None,
        device_index: int = 0,
        progress: ShowProgress = no_progress,
        machinery: Machinery | None = None,
    ) -> None:
        """`store` None: engines are kept in the user's cache, by the model's digest.

        `default` is what to build where nothing was compiled yet; None: `EngineSettings()`.
        """
        self._store = store
        self._default = default or EngineSettings()
        self._index = device_index
        self._progress = progress
        self._machinery = machinery or Machinery()

    def probe(self) -> Probe:
        """Asks the driver first, then looks for TensorRT and pycuda. Makes no object of theirs."""
        return self._machinery.probe(self._machinery.driver())

    def compile(self, model: Model) -> Engine:
        """The engine that was compiled last for this machine; where there is none, it is built.

        Raises BackendError with what the probe found, when TensorRT refuses the model, and when
        the engines that are there are for another machine or another model.
        """
        workshop = self.workshop(self._store_of(model))
        stored = workshop.ready(model, self._default)
        return TensorRTEngine(
            self.name,
            workshop.load(stored),
            layers=stored.record.layers,
            warnings=_warnings(stored),
            settings=stored.record.key.settings,
            model=model if stored.record.key.settings.strip_weights else None,
        )

    def open(self, engine: Engine) -> Session:
        """Open what `compile` made. Raises BackendError for any other, and for no GPU."""
        if engine.backend != self.name:
            raise BackendError(
                f"this engine was made by {engine.backend!r}, not by {self.name!r}",
                f"open it with the backend {engine.backend!r}",
            )
        if not isinstance(engine, TensorRTEngine):
            engine = TensorRTEngine(self.name, engine.data)
        self.gpu()
        if self._machinery.session is None:
            raise BackendError("this edgesdk cannot run engines yet")
        return self._machinery.session(self._machinery.module(), self._index, engine)

    def workshop(self, store: EngineStore) -> Workshop:
        """What builds engines into `store` here. Raises BackendError with what the probe found."""
        gpu = self.gpu()
        trt = self._machinery.module()
        return Workshop(
            trt=trt,
            host=read_host(trt.__version__, gpu, self._machinery.root),
            store=store,
            memory_bytes=gpu.memory_bytes,
            progress=self._progress,
            inspect=self._machinery.inspect,
        )

    def gpu(self) -> Gpu:
        """The GPU to work with, after the probe. Raises BackendError or UsageError."""
        driver = self._machinery.driver()
        found = self._machinery.probe(driver)
        if not found.usable:
            raise BackendError(f"TensorRT cannot be used: {found.reason}", found.fix)
        if not 0 <= self._index < len(driver.gpus):
            raise UsageError(
                f"there is no GPU {self._index}: the driver finds {len(driver.gpus)}",
                f"--device-index takes 0 to {len(driver.gpus) - 1}",
            )
        return driver.gpus[self._index]

    def _store_of(self, model: Model) -> EngineStore:
        if self._store is not None and self._store.graph == model.digest:
            return self._store
        return EngineStore.cached(model.digest)


def _warnings(stored: StoredEngine) -> tuple[str, ...]:
    """What a user of this engine should know."""
    foreign = [f"the engine was built for {each}: {each.meaning}" for each in stored.differences]
    trusted = [f"the engine is {stored.record.origin}, taken in on trust"]
    return (*stored.record.warnings, *foreign, *(trusted if stored.record.trusted else ()))
