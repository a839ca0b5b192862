"""From an engine's bytes to an engine in memory, which several sessions may share."""

from __future__ import annotations

from edgesdk.backends.tensorrt.api.always import ILogger, TensorRT
from edgesdk.backends.tensorrt.api.always.running import ICudaEngine, IExecutionContext, Runtime
from edgesdk.backends.tensorrt.cuda import Cuda, Resource, forget
from edgesdk.backends.tensorrt.cuda_errors import LESS_MEMORY, closed
from edgesdk.backends.tensorrt.logging import Messages, make_log
from edgesdk.backends.tensorrt.runtime.refit import refit
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError
from edgesdk.model import Model

BUILD_AGAIN = (
    "an engine fits one TensorRT and one kind of GPU: build it again, from its bundle, here"
)


class LoadedEngine(Resource):
    """An engine in memory. It is freed, and its runtime after it, when nobody holds it any more."""

    def __init__(
        self,
        trt: TensorRT,
        cuda: Cuda,
        data: bytes,
        settings: EngineSettings,
        model: Model | None = None,
    ) -> None:
        """`settings`: what it was built with. `model`: the graph whose weights a stripped engine
        gets back.

        Raises BackendError, with TensorRT's own last errors, when it does not take the engine.
        """
        self.trt = trt
        self.cuda = cuda
        self.messages = Messages()
        with cuda.active():
            log = make_log(trt, self.messages)
            runtime = _runtime(trt, log, settings)
            engine = runtime.deserialize_cuda_engine(data)
            if engine is None:
                raise self.messages.failed("does not take the engine", BUILD_AGAIN)
            if settings.strip_weights:
                refit(trt, engine, _weights(model), log, self.messages)
        super().__init__(cuda.primary, [runtime, engine], forget)

    @property
    def engine(self) -> ICudaEngine:
        """TensorRT's object. Do not keep it."""
        if not self._held:
            raise closed("engine")
        engine: ICudaEngine = self._held[1]
        return engine

    def context(self) -> IExecutionContext:
        """A new execution context. Raises BackendError when there is too little memory."""
        with self.cuda.active():
            made = self.engine.create_execution_context()
        if made is None:
            raise self.messages.failed("could not make an execution context", LESS_MEMORY)
        return made


def _runtime(trt: TensorRT, log: ILogger, settings: EngineSettings) -> Runtime:
    runtime = trt.Runtime(log)
    if settings.dla is not None:
        runtime.DLA_core = settings.dla.core
    if settings.version_compatible:
        runtime.engine_host_code_allowed = True
    return runtime


def _weights(model: Model | None) -> Model:
    if model is None:
        raise BackendError(
            "this engine was built without its weights, and no model was given",
            "open it through the bundle that it was built from",
        )
    return model
