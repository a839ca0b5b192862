"""The TensorRT backend: engines come out of a store, sessions run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from edgesdk._optional import require
from edgesdk.backends.base import Engine, Probe, Session, ShowProgress, no_progress
from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.building.builder import settings_for
from edgesdk.backends.tensorrt.building.built import Inspect
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.engines.store import EngineStore, StoredEngine
from edgesdk.backends.tensorrt.engines.workshop import Workshop
from edgesdk.backends.tensorrt.machine.driver import Driver, Gpu, probe_driver
from edgesdk.backends.tensorrt.machine.host import read_host
from edgesdk.backends.tensorrt.machine.probe import probe
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import Bundle
from edgesdk.errors import BackendError, UsageError
from edgesdk.model import Model

PLAIN = EngineSettings()
"""Nothing special."""


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


def open_session(trt: TensorRT, index: int, engine: TensorRTEngine) -> Session:
    """A session on the GPU of this index. Raises BackendError."""
    gpu = Cuda.open(index)
    return TensorRTSession(trt, gpu, engine.data, settings=engine.settings, model=engine.model)


@contextmanager
def make_current(index: int) -> Iterator[None]:
    """Make the GPU of this index current for the block: TensorRT builds on the one that is.

    Raises BackendError or MissingExtra.
    """
    if index == 0:  # TensorRT takes it by itself
        yield
        return
    gpu = Cuda.open(index)
    try:
        with gpu.active():
            yield
    finally:
        gpu.close()


@dataclass(frozen=True)
class Machinery:
    """What the backend reaches out to. Tests give doubles; nobody else needs to."""

    driver: Callable[[], Driver] = probe_driver
    probe: Callable[[Driver], Probe] = probe
    module: Callable[[], TensorRT] = load_tensorrt
    session: Callable[[TensorRT, int, TensorRTEngine], Session] = open_session
    """Opens an engine on the GPU of this index."""
    current: Callable[[int], AbstractContextManager[None]] = make_current
    """Makes the GPU of this index current."""
    inspect: Inspect | None = None
    root: Path = Path("/")
    """Where the machine is read from."""


class TensorRTBackend:
    """Compiles on the machine that has the GPU, and runs there."""

    name = "tensorrt"

    def __init__(
        self,
        bundle: Bundle | None = None,
        device_index: int = 0,
        progress: ShowProgress = no_progress,
        machinery: Machinery | None = None,
    ) -> None:
        """For a bundle, whose engines stand beside it; None: for any model, whose engines are kept
        in the user's cache.

        `device_index` is CUDA's number of the GPU; `progress` is told how far a build is.
        """
        self._bundle = bundle
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
        workshop = self.workshop(model.digest)
        stored = workshop.ready(model, settings_for(self._bundle) if self._bundle else PLAIN)
        return TensorRTEngine(
            self.name,
            workshop.load(stored),
            layers=stored.record.layers,
            warnings=_warnings(stored),
            settings=stored.record.key.settings,
            model=workshop.weights(stored, model),
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
        self.gpu()  # before any object of TensorRT or CUDA is made
        return self._machinery.session(self._machinery.module(), self._index, engine)

    def workshop(self, graph: str) -> Workshop:
        """What builds engines of this graph here. Raises BackendError with what the probe found."""
        gpu = self.gpu()
        trt = self._machinery.module()
        bundle = self._bundle if self._bundle and self._bundle.graph_digest == graph else None
        return Workshop(
            trt=trt,
            host=read_host(trt.__version__, gpu, self._machinery.root),
            store=EngineStore.beside(bundle) if bundle else EngineStore.cached(graph),
            memory_bytes=gpu.memory_bytes,
            progress=self._progress,
            inspect=self._machinery.inspect,
            bundle=bundle,
            current=partial(self._machinery.current, self._index),
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
                f"--device-index takes {', '.join(map(str, range(len(driver.gpus))))}",
            )
        return driver.gpus[self._index]


def _warnings(stored: StoredEngine) -> tuple[str, ...]:
    """What a user of this engine should know."""
    foreign = [f"the engine was built for {each}: {each.meaning}" for each in stored.differences]
    trusted = [f"the engine is {stored.record.origin}, taken in on trust"]
    return (*stored.record.warnings, *foreign, *(trusted if stored.record.trusted else ()))
