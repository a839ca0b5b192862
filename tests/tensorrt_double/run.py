"""Execution contexts: they compute with ONNX Runtime, on whatever the addresses point at.

With CUDA's driver (or the stand-in for it) loaded in this process, the work is queued on the
stream by cuLaunchHostFunc, and so is recorded in a graph under capture; without one it is done at
once. Memory is read and written as host memory: no real GPU's memory may be given.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

from tests.tensorrt_double.control import Control
from tests.tensorrt_double.memory import array_at

HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
CAPTURING = 1
KEPT_AFTER_RUN = 64


def driver() -> ctypes.CDLL | None:
    """The CUDA driver that this process has loaded already, if any."""
    try:
        return ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return None


def capturing(cuda: ctypes.CDLL | None, stream: int) -> bool:
    if cuda is None or not hasattr(cuda, "cuStreamIsCapturing"):
        return False
    status = ctypes.c_int(0)
    code = cuda.cuStreamIsCapturing(ctypes.c_void_p(stream), ctypes.byref(status))
    return code == 0 and status.value == CAPTURING


class IExecutionContext:
    """State: `_engine`, `_addresses`, `_shapes`, `_fresh` (no enqueue since shapes changed)."""

    _trt: Any
    _control: Control
    _engine: Any
    _logger: Any
    _addresses: dict[str, int]
    _shapes: dict[str, tuple[int, ...]]
    _active_optimization_profile: int
    _fresh: bool
    _kept: list[Any]

    @property
    def engine(self) -> Any:
        return self._engine

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine._tensors:
            return refuse(self, f"Given invalid tensor name: {name}.")
        self._addresses[name] = int(memory)
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def set_input_shape(self, name: str, shape: Any) -> bool:
        wanted = tuple(shape)
        if name not in input_names(self):
            return refuse(self, f"Given invalid tensor name: {name}. It is no input.")
        low, _, high = self._engine.get_tensor_profile_shape(
            name, self._active_optimization_profile
        )
        low, high = tuple(low), tuple(high)
        if len(wanted) != len(low) or not all(
            a <= w <= b for a, w, b in zip(low, wanted, high, strict=True)
        ):
            return refuse(
                self, f"Set dimension {wanted} for tensor {name} does not satisfy any "
                f"optimization profiles. Valid range for profile 0: {low}..{high}."
            )  # fmt: skip
        if self._shapes.get(name) != wanted:
            self._fresh = True
        self._shapes[name] = wanted
        return True

    def get_tensor_shape(self, name: str) -> Any:
        engine_shape = self._engine.get_tensor_shape(name)
        if name in self._shapes:
            return self._trt.Dims(self._shapes[name])
        if -1 not in tuple(engine_shape) or unset(self):
            return engine_shape
        return self._trt.Dims(output_shapes(self)[name])

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not unset(self)

    def infer_shapes(self) -> list[str]:
        return unset(self)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if not 0 <= profile_index < self._engine.num_optimization_profiles:
            return refuse(self, f"Optimization profile {profile_index} does not exist")
        self._active_optimization_profile = profile_index
        self._shapes.clear()
        self._fresh = True
        return True

    def report_to_profiler(self) -> bool:
        return report(self)

    def execute_async_v3(self, stream_handle: int) -> bool:
        cuda = driver()
        in_capture = capturing(cuda, stream_handle)
        reason = self._control.fail_enqueue or objection(self, in_capture)
        if reason:
            return refuse(self, reason)
        work = bound_work(self)
        self._fresh = False
        if not enqueue(self, cuda, stream_handle, work, keep=in_capture):
            return refuse(self, "Cuda Runtime (invalid argument)")
        has_profiler = self.__dict__.get("_profiler") is not None
        emits = self.__dict__["_enqueue_emits_profile"]
        return report(self) if has_profiler and emits else True


def refuse(context: Any, text: str) -> bool:
    context._logger.log(context._trt.ILogger.ERROR, f"IExecutionContext: {text}")
    return False


def input_names(context: Any) -> list[str]:
    outputs = [v.name for v in context._engine._graph.output]
    return [name for name in context._engine._tensors if name not in outputs]


def unset(context: Any) -> list[str]:
    """Inputs of varying size whose shape was not set."""
    shape = context._engine.get_tensor_shape
    return [n for n in input_names(context) if -1 in tuple(shape(n)) and n not in context._shapes]


def objection(context: Any, in_capture: bool) -> str:
    missing = unset(context)
    if missing:
        return f"enqueueV3: the shape of {missing[0]} is not specified"
    for name in context._engine._tensors:
        if not context._addresses.get(name):
            return f"enqueueV3: Address is not set for tensor {name}"
    if in_capture and context._fresh:
        return (
            "enqueueV3: the first call after shapes were set updates the context, "
            "which a stream under capture cannot"
        )
    if in_capture and context.__dict__.get("_profiler") is not None:
        return "enqueueV3: a profiler synchronizes, which a stream under capture cannot"
    return ""


def session(context: Any) -> onnxruntime.InferenceSession:
    """Kept with the engine's bytes: a refit makes a new one."""
    data = context._engine._plan.onnx
    found = context.__dict__.get("_session")
    if found is None or found[0] is not data:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        # Optimized, ONNX Runtime loses biases in float16: then these would be its own answers.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        made = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        found = context.__dict__["_session"] = (data, made)
    result: onnxruntime.InferenceSession = found[1]
    return result


def feeds_of(context: Any, *, empty: bool) -> dict[str, np.ndarray[Any, Any]]:
    trt = context._trt
    feeds = {}
    for name in input_names(context):
        shape = tuple(context.get_tensor_shape(name))
        dtype = np.dtype(trt.nptype(context._engine.get_tensor_dtype(name)))
        address = context._addresses.get(name, 0)
        feeds[name] = np.zeros(shape, dtype) if empty else array_at(address, shape, dtype)
    return feeds


def output_shapes(context: Any) -> dict[str, tuple[int, ...]]:
    """Found by a run on zeros, once for each set of input shapes."""
    known = context.__dict__.setdefault("_known_shapes", {})
    key = tuple(sorted(context._shapes.items()))
    if key not in known:
        names = [v.name for v in context._engine._graph.output]
        values = session(context).run(names, feeds_of(context, empty=True))
        known[key] = {n: np.shape(v) for n, v in zip(names, values, strict=True)}
    return known[key]  # type: ignore[no-any-return]


def bound_work(context: Any) -> Callable[[], None]:
    """Addresses and shapes as they are now: a captured graph replays exactly these."""
    runner = session(context)
    feeds = feeds_of(context, empty=False)
    names = [v.name for v in context._engine._graph.output]
    targets = {name: context._addresses[name] for name in names}

    def work() -> None:
        for name, value in zip(names, runner.run(names, feeds), strict=True):
            array_at(targets[name], value.shape, value.dtype)[...] = value

    return work


def enqueue(
    context: Any, cuda: ctypes.CDLL | None, stream: int, work: Callable[[], None], *, keep: bool
) -> bool:
    """On the stream where there is a driver, else at once."""
    if cuda is None or not hasattr(cuda, "cuLaunchHostFunc"):
        work()
        return True
    function = HOST_FUNCTION(lambda _: work())
    context._kept.append((keep, function))
    done = [i for i, (held, _) in enumerate(context._kept) if not held]
    if len(done) > KEPT_AFTER_RUN:
        del context._kept[done[0]]
    return bool(cuda.cuLaunchHostFunc(ctypes.c_void_p(stream), function, None) == 0)


def report(context: Any) -> bool:
    """One time for each layer; the numbers are made up."""
    profiler = context.__dict__.get("_profiler")
    if profiler is None:
        return refuse(context, "reportToProfiler: no profiler is set")
    for index, layer in enumerate(context._engine._plan.layers):
        profiler.report_layer_time(layer["Name"], 0.01 * (index + 1))
    return True
