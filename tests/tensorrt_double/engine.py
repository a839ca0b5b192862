"""Runtime, engine, inspector and refitter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx

from tests.tensorrt_double.control import Control
from tests.tensorrt_double.memory import host_memory
from tests.tensorrt_double.network import data_type, shape_of
from tests.tensorrt_double.plan import Plan, Refused, check_fits, read_plan
from tests.tensorrt_double.strip import missing, refitted


class Runtime:
    """State: `_logger`."""

    _trt: Any
    _control: Control

    def __init__(self, logger: Any) -> None:
        if self._control.no_driver:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger
        self._DLA_core = -1

    @property
    def num_DLA_cores(self) -> int:
        return self._control.dla_cores

    def deserialize_cuda_engine(
        self, serialized_engine: Any = None, stream_reader: Any = None, stream_reader_v2: Any = None
    ) -> Any:
        host_code = bool(self.__dict__.get("_engine_host_code_allowed"))
        try:
            plan = read_plan(bytes(serialized_engine))
            check_fits(
                plan, self._trt.__version__, self._control.compute_capability, host_code=host_code
            )
        except Refused as error:
            self._logger.log(self._trt.ILogger.ERROR, str(error))
            return None
        return self._trt.ICudaEngine._make(_plan=plan, _given=plan, _logger=self._logger)


class ICudaEngine:
    """State: `_plan`; `_refitted` when weights were put back."""

    _trt: Any
    _control: Control
    _plan: Plan
    _logger: Any

    @property
    def _graph(self) -> onnx.GraphProto:
        return self._plan.model.graph

    @property
    def _tensors(self) -> dict[str, onnx.ValueInfoProto]:
        """Inputs first, in the graph's order."""
        graph = self._plan.model.graph
        constants = {tensor.name for tensor in graph.initializer}
        inputs = [v for v in graph.input if v.name not in constants]
        return {v.name: v for v in [*inputs, *graph.output]}

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    @property
    def num_layers(self) -> int:
        return len(self._plan.layers)

    @property
    def num_optimization_profiles(self) -> int:
        return max(1, len(self._plan.profiles))

    @property
    def refittable(self) -> bool:
        return bool({"REFIT", "STRIP_PLAN"} & set(self._plan.flags))

    @property
    def device_memory_size(self) -> int:
        return 1 << 20

    @property
    def device_memory_size_v2(self) -> int:
        return 1 << 20

    @property
    def profiling_verbosity(self) -> Any:
        return getattr(self._trt.ProfilingVerbosity, self._plan.verbosity)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        mode = self._trt.TensorIOMode
        if name not in self._tensors:
            return mode.NONE
        outputs = [v.name for v in self._graph.output]
        return mode.OUTPUT if name in outputs else mode.INPUT

    def get_tensor_shape(self, name: str) -> Any:
        return self._trt.Dims(shape_of(self._tensors[name]))

    def get_tensor_dtype(self, name: str) -> Any:
        return data_type(self._trt, self._tensors[name])

    def get_tensor_location(self, name: str) -> Any:
        return self._trt.TensorLocation.DEVICE

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        return self._trt.TensorFormat.LINEAR

    def is_shape_inference_io(self, name: str) -> bool:
        return False

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        ranges: dict[str, Any] = {}
        if profile_index < len(self._plan.profiles):
            ranges = self._plan.profiles[profile_index]
        fixed = [list(shape_of(self._tensors[name]))] * 3
        return [self._trt.Dims(shape) for shape in ranges.get(name, fixed)]

    def serialize(self) -> Any:
        return host_memory(self._trt.IHostMemory, self._plan.to_bytes())

    def create_execution_context(self, strategy: Any = None, runtime_config: Any = None) -> Any:
        if self._control.fail_context:
            self._logger.log(
                self._trt.ILogger.ERROR, "Error Code 2: OutOfMemory (requested memory)"
            )
            return None
        return self._trt.IExecutionContext._make(
            _engine=self, _addresses={}, _shapes={}, _active_optimization_profile=0,
            _enqueue_emits_profile=True, _fresh=True, _kept=[], _logger=self._logger,
        )  # fmt: skip

    def create_engine_inspector(self) -> Any:
        return self._trt.EngineInspector._make(_engine=self)


class EngineInspector:
    """State: `_engine`."""

    _trt: Any
    _engine: Any

    def get_engine_information(self, format: Any) -> str:
        shown = [self._shown(i) for i in range(len(self._engine._plan.layers))]
        bindings = list(self._engine._tensors)
        if format == self._trt.LayerInformationFormat.JSON:
            return json.dumps({"Layers": shown, "Bindings": bindings})
        return "\n".join(["Layers:", *map(str, shown), "", "Bindings:", *bindings])

    def get_layer_information(self, layer_index: int, format: Any) -> str:
        return json.dumps(self._shown(layer_index))

    def _shown(self, index: int) -> Any:
        """With LAYER_NAMES_ONLY a layer is its name, with DETAILED a dictionary."""
        layer: Mapping[str, Any] = self._engine._plan.layers[index]
        if self._engine._plan.verbosity == "DETAILED":
            return layer
        return layer["Name"] if self._engine._plan.verbosity == "LAYER_NAMES_ONLY" else ""


class Refitter:
    """State: `_engine`, `_given` (weights by name)."""

    _trt: Any

    def __init__(self, engine: Any, logger: Any) -> None:
        if not engine.refittable:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._engine = engine
        self._logger = logger
        self._given: dict[str, onnx.TensorProto] = {}

    def get_missing_weights(self) -> list[str]:
        return missing(self._engine._plan.model, self._given)

    def refit_cuda_engine(self) -> bool:
        plan = self._engine._plan
        absent = missing(plan.model, self._given)
        if absent:
            text = f"Missing weights: {', '.join(absent)}"
            self._logger.log(self._trt.ILogger.ERROR, text)
            return False
        self._engine._plan = replace(plan, onnx=refitted(plan.model, self._given))
        return True
