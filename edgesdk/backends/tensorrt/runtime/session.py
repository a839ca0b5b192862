"""Runs an engine: buffers allocated once, one stream, and a CUDA graph where shapes are fixed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.runtime.loading import LoadedEngine
from edgesdk.backends.tensorrt.runtime.phases import LayerTime, Phases
from edgesdk.backends.tensorrt.runtime.pictures import Fill, GpuPictures
from edgesdk.backends.tensorrt.runtime.running import GraphMode, Running
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError, UsageError
from edgesdk.model import Model
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, TensorSpec

PLAIN = EngineSettings()
ONE_THREAD = "one session runs one thread at a time: open one for each with session.another()"


class TensorRTSession:
    """A loaded engine with its own buffers, stream and execution context.

    Any thread may call, one at a time; a second one at the same time gets a BackendError and
    `another` is what it needs. Outputs are views of pinned memory that the next run writes to:
    copy what must live longer. They stay readable after `close`. In the steady state a run
    allocates no memory, neither on the GPU nor for tensors on the CPU.

        session = TensorRTSession(trt, cuda, engine_bytes)
        detections = session.run({"images": images})["output0"].copy()
        session.close()
    """

    def __init__(
        self,
        trt: TensorRT,
        cuda: Cuda,
        data: bytes | LoadedEngine,
        *,
        settings: EngineSettings = PLAIN,
        model: Model | None = None,
        graph: GraphMode = "auto",
    ) -> None:
        """Load an engine (or share a loaded one), and allocate for its largest shapes.

        `trt` is the module tensorrt. `settings` is what the engine was built with, `model` the
        graph whose weights an engine without weights gets back. Raises BackendError with
        TensorRT's own errors when it does not take the engine, when memory is full, and for
        inputs and outputs that numpy cannot hold.
        """
        with cuda.active():
            loaded = data
            if not isinstance(loaded, LoadedEngine):
                loaded = LoadedEngine(trt, cuda, loaded, settings, model)
            self._state = Running(loaded, graph)
        self._turn = threading.Lock()
        self._finalizer = weakref.finalize(self, self._state.close)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `run` wants; a size that varies is written as its range, "1..8"."""
        return self._state.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `run` gives; a size that depends on the inputs' sizes is "?"."""
        return self._state.outputs

    @property
    def uses_graph(self) -> bool:
        """Whether the last run was started as a CUDA graph."""
        return self._state.graph is not None

    @property
    def zero_copy(self) -> bool:
        """Whether inputs and outputs are one memory for CPU and GPU, as on a Jetson by default."""
        return self._state.loaded.cuda.mapped

    @property
    def graph_problem(self) -> str:
        """Why the engine could not be captured as a graph; empty: it was, or nobody tried."""
        return self._state.graph_problem

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name; they are the session's until the next run.

        Raises BackendError for a missing or unknown name, a wrong dtype, rank or size, when another
        thread is running this session, when TensorRT or the GPU fails, and after `close`.
        """
        with self._running() as state:
            state.take(feeds)
            return state.execute(feeds)

    def run_with(
        self, fills: Mapping[str, Fill], feeds: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """As `run`, with some inputs written on the GPU: nothing of them is copied from the host.

        `fills` has a function for each such input, called with the address of its memory on the
        device and the stream on which to put its kernel or copy; it must not wait for the stream.
        `feeds` has the other inputs. Inputs of varying size cannot be filled.
        """
        given = dict(feeds or {})
        with self._running() as state:
            state.take(given, filled=tuple(fills))
            for name, fill in fills.items():
                fill(state.bindings.address(name), state.stream)
            return state.execute(given)

    def timed(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], Phases]:
        """As `run`, with what each phase took; see `Phases` for what is counted where."""
        with self._running() as state:
            state.take(feeds)
            return state.timed(feeds)

    def profiled(self, feeds: Mapping[str, Array], runs: int = 10) -> tuple[LayerTime, ...]:
        """GPU time of each layer in each of `runs` runs, in the engine's order.

        It runs in a second execution context, which takes memory meanwhile. Layers do not overlap
        while they are measured, and no graph is used: the sum is more than a run takes.
        """
        if runs < 1:
            raise UsageError(f"at least one run is needed, found {runs}")
        with self._running() as state:
            state.take(feeds)
            return state.profiled(feeds, runs)

    def for_pictures(self, preprocess: Preprocess, kernels: bytes | None = None) -> GpuPictures:
        """What takes pictures, preprocesses them on the GPU and runs this session on them.

        Close it before the session. `kernels` and errors: see GpuPictures.
        """
        with self._running() as state:
            cuda = state.loaded.cuda
        return GpuPictures(self, cuda, preprocess, kernels)

    def another(self) -> TensorRTSession:
        """A second session on the same engine in memory, for another thread.

        It has buffers, a stream and an execution context of its own. Both are closed each.
        """
        with self._running() as state:
            loaded = state.loaded
            return TensorRTSession(loaded.trt, loaded.cuda, loaded, graph=state.graph_mode)

    def close(self) -> None:
        """Free everything, from whatever thread; a run that is going on is waited for.

        Twice is harmless. The GPU itself (`Cuda`) stays open.
        """
        with self._turn:
            self._finalizer()

    @contextmanager
    def _running(self) -> Iterator[Running]:
        if not self._turn.acquire(blocking=False):
            raise BackendError("another thread is running this session", ONE_THREAD)
        try:
            if not self._finalizer.alive:
                raise BackendError("this session is closed", "open the engine again")
            with self._state.loaded.cuda.active():
                yield self._state
        finally:
            self._turn.release()
