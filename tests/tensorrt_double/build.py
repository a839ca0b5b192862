"""Builder, its config, shape ranges and timing cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from tests.tensorrt_double.control import Control
from tests.tensorrt_double.layers import Choice, layers, quantized_nodes
from tests.tensorrt_double.memory import host_memory
from tests.tensorrt_double.plan import Plan
from tests.tensorrt_double.strip import stripped


class Builder:
    """State: `_logger`."""

    _trt: Any
    _control: Control

    def __init__(self, logger: Any) -> None:
        if self._control.no_driver:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        return self._trt.INetworkDefinition._make(
            _flags=int(flags), _model=None, _inputs=[], _outputs=[], _layers=[]
        )

    def create_builder_config(self) -> Any:
        return self._trt.IBuilderConfig._make(
            _flags=0, _pools={}, _profiles=[], _devices={}, _logger=self._logger,
            _builder_optimization_level=3, _avg_timing_iterations=1, _cache=None,
            _default_device_type=self._trt.DeviceType.GPU, _DLA_core=-1,
        )  # fmt: skip

    def create_optimization_profile(self) -> Any:
        return self._trt.IOptimizationProfile._make(_ranges={})

    @property
    def num_DLA_cores(self) -> int:
        return self._control.dla_cores

    @property
    def platform_has_fast_int8(self) -> bool:
        return True

    @property
    def platform_has_fast_fp16(self) -> bool:
        return True

    def is_network_supported(self, network: Any, config: Any) -> bool:
        return not any(True for _ in objections(self._trt, network, config))

    def build_serialized_network(self, network: Any, config: Any, kernel_text: Any = None) -> Any:
        data = build(self, network, config)
        return None if data is None else host_memory(self._trt.IHostMemory, data)

    def reset(self) -> None:
        """Nothing to forget."""


class IBuilderConfig:
    """State: `_flags`, `_pools`, `_profiles`, `_devices` (by layer name), `_cache`."""

    _trt: Any
    _flags: int
    _cache: Any
    _logger: Any
    _pools: dict[str, int]
    _profiles: list[Any]
    _devices: dict[str, Any]
    _default_device_type: Any

    def set_flag(self, flag: Any) -> None:
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self._flags & 1 << int(flag))

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        power_of_two = pool_size >= 4096 and pool_size & (pool_size - 1) == 0
        if pool.name.startswith("DLA") and not power_of_two:
            text = f"setMemoryPoolLimit: {pool.name} must be a power of 2 of at least 4 KiB"
            self._logger.log(self._trt.ILogger.ERROR, text)
            return
        self._pools[pool.name] = int(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self._pools.get(pool.name, 1 << 30)

    def add_optimization_profile(self, profile: Any) -> int:
        if not profile:
            self._logger.log(self._trt.ILogger.ERROR, "addOptimizationProfile: it is not valid")
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_calibration_profile(self, profile: Any) -> bool:
        self._calibration_profile = profile
        return True

    def get_calibration_profile(self) -> Any:
        return self.__dict__.get("_calibration_profile")

    def can_run_on_DLA(self, layer: Any) -> bool:
        return Choice(dla=True, not_on_dla=self._control.not_on_dla).on_dla(layer._node)  # type: ignore[attr-defined, no-any-return]

    def set_device_type(self, layer: Any, device_type: Any) -> None:
        self._devices[layer.name] = device_type

    def get_device_type(self, layer: Any) -> Any:
        return self._devices.get(layer.name, self._default_device_type)

    def is_device_type_set(self, layer: Any) -> bool:
        return layer.name in self._devices

    def reset_device_type(self, layer: Any) -> None:
        self._devices.pop(layer.name, None)

    def create_timing_cache(self, serialized_timing_cache: Any) -> Any:
        data = bytes(serialized_timing_cache)
        if data and not data.startswith(ITimingCache._head):
            self._logger.log(self._trt.ILogger.ERROR, "createTimingCache: the header is invalid")
            return None
        return self._trt.ITimingCache._make(_data=data or ITimingCache._head)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        self._tactic_sources = tactic_sources
        return True

    def get_tactic_sources(self) -> int:
        return self.__dict__.get("_tactic_sources", 0)

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        self.__dict__.setdefault("_features", {})[feature.name] = enable

    def get_preview_feature(self, feature: Any) -> bool:
        return self.__dict__.get("_features", {}).get(feature.name, False)

    def set_quantization_flag(self, flag: Any) -> None:
        self.__dict__.setdefault("_quantization", set()).add(flag.name)

    def get_quantization_flag(self, flag: Any) -> bool:
        return flag.name in self.__dict__.get("_quantization", set())


class ITimingCache:
    """State: `_data`; each build adds a line."""

    _trt: Any
    _data: bytes
    _head = b"timing cache of the double\n"

    def serialize(self) -> Any:
        return host_memory(self._trt.IHostMemory, self._data)

    def combine(self, input_cache: Any, ignore_mismatch: bool) -> bool:
        self._data += input_cache._data.removeprefix(self._head)
        return True

    def reset(self) -> bool:
        self._data = self._head
        return True


class IOptimizationProfile:
    """State: `_ranges`."""

    _trt: Any
    _ranges: dict[str, list[list[int]]]

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        shapes = {"min": list(min), "opt": list(opt), "max": list(max)}
        for which, shape in shapes.items():
            if any(size < 0 for size in shape):
                raise RuntimeError(f"Shape provided for {which} is inconsistent with other shapes.")
        self._ranges[input] = list(shapes.values())

    def __bool__(self) -> bool:
        return all(
            len(low) == len(mid) == len(high)
            and all(a <= b <= c for a, b, c in zip(low, mid, high, strict=True))
            for low, mid, high in self._ranges.values()
        )

    def get_shape(self, input: str) -> list[Any]:
        return [self._trt.Dims(shape) for shape in self._ranges.get(input, [])]


class IHostMemory:
    """Shown as a buffer by tests.tensorrt_double.memory."""

    @property
    def nbytes(self) -> int:
        return memoryview(self).nbytes  # type: ignore[arg-type]


def names_set(cls: Any, mask: int) -> tuple[str, ...]:
    """Members of an enum whose bit is set in `mask`."""
    return tuple(name for name, member in cls.__members__.items() if mask & 1 << int(member))


def objections(trt: Any, network: Any, config: Any) -> Iterator[str]:
    """Why TensorRT would give None, in its words as far as they are known."""
    if network._model is None or not network._outputs:
        yield "Network must have at least one output"
        return
    flags = names_set(trt.BuilderFlag, config._flags)
    typed = "STRONGLY_TYPED" in names_set(trt.NetworkDefinitionCreationFlag, network._flags)
    operators = {node.op_type for node in network._model.graph.node}
    always_typed = not hasattr(trt.BuilderFlag, "INT8")
    if typed and {"INT8", "FP16"} & set(flags):
        yield "Precision flags must not be set for a strongly typed network"
    if "QuantizeLinear" in operators and not typed and not always_typed and "INT8" not in flags:
        yield "Int8 precision is required for Q/DQ layers. Set BuilderFlag::kINT8"
    yield from shape_objections(network, config)
    yield from dla_objections(trt, network, config, flags)


def shape_objections(network: Any, config: Any) -> Iterator[str]:
    dynamic = [t for t in network._inputs if -1 in tuple(t.shape)]
    if dynamic and not config._profiles:
        yield "Network has dynamic or shape inputs, but no optimization profile has been defined."
        return
    for profile in config._profiles:
        for tensor in dynamic:
            if tensor.name not in profile._ranges:
                yield f"{tensor.name}: optimization profile is missing values for its shape"
        for name in profile._ranges:
            if name not in [t.name for t in network._inputs]:
                yield f"{name}: optimization profile names an input that the network has not"


def dla_objections(trt: Any, network: Any, config: Any, flags: tuple[str, ...]) -> Iterator[str]:
    if config.default_device_type != trt.DeviceType.DLA:
        return
    if not 0 <= config.DLA_core < config._control.dla_cores:
        yield f"DLA core {config.DLA_core} does not exist"
    if "GPU_FALLBACK" in flags:
        return
    for layer in network._layers:
        constant = layer._node.op_type == "Constant"
        if not constant and not IBuilderConfig.can_run_on_DLA(config, layer):  # type: ignore[arg-type]
            yield f"{layer.name}: Layer is not supported on DLA and GPU fallback is not enabled"


def build(builder: Any, network: Any, config: Any) -> bytes | None:
    """The bytes of an engine, or None after an error in the logger."""
    trt, switches, log = builder._trt, builder._control, builder._logger.log
    objection = switches.fail_build or next(objections(trt, network, config), "")
    if objection:
        log(trt.ILogger.ERROR, f"{objection}")
        return None
    cache = calibration_cache(config)
    plan = planned(trt, network, config, cache)
    if not told(config, plan, log, trt):
        log(trt.ILogger.ERROR, "Build was cancelled by the progress monitor")
        return None
    if config._cache is not None:
        config._cache._data += f"{len(plan.layers)} layers\n".encode()
    return plan.to_bytes()


def calibration_cache(config: Any) -> str:
    """Asks the calibrator as TensorRT does: its cache first, pictures only without one."""
    calibrator = config.__dict__.get("_int8_calibrator")
    if calibrator is None:
        return ""
    calibrator.get_algorithm()
    cache = calibrator.read_calibration_cache()
    if cache is None:
        while calibrator.get_batch([]) is not None:
            """Each batch is a step of calibration."""
        cache = b"TRT-calibrated by the double\n"
        calibrator.write_calibration_cache(cache)
    return bytes(cache).decode()


def planned(trt: Any, network: Any, config: Any, cache: str) -> Plan:
    switches = config._control
    flags = names_set(trt.BuilderFlag, config._flags)
    tensors = [t for layer in network._layers for t in [*layer._inputs, *layer._outputs]]
    ranges = {t.name: list(t._dynamic_range) for t in tensors if t._dynamic_range is not None}
    ranges |= {line.partition(":")[0]: [] for line in cache.splitlines()[1:]}
    on_dla = config.default_device_type == trt.DeviceType.DLA
    model: onnx.ModelProto = network._model
    no_pairs_on_dla = quantized_nodes(model) if trt.__version__.startswith("8") else []
    choice = Choice(
        "FP16" in flags,
        ranges if "INT8" in flags else (),
        on_dla,
        [*switches.not_on_dla, *no_pairs_on_dla],
        switches.not_in_int8,
        hasattr(trt.ILayer, "metadata"),
    )
    return Plan(
        version=trt.__version__,
        compute_capability=switches.compute_capability,
        onnx=stripped(model) if "STRIP_PLAN" in flags else model.SerializeToString(),
        flags=flags,
        network_flags=names_set(trt.NetworkDefinitionCreationFlag, network._flags),
        pools=dict(config._pools),
        profiles=tuple(dict(profile._ranges) for profile in config._profiles),
        device="DLA" if on_dla else "GPU",
        dla_core=config.DLA_core if on_dla else -1,
        optimization_level=config._builder_optimization_level,
        verbosity=config.profiling_verbosity.name,
        ranges=ranges,
        calibration_cache=cache,
        layers=layers(model, choice),
    )


def told(config: Any, plan: Plan, log: Any, trt: Any) -> bool:
    """Progress through the monitor and through the log; False: the monitor wants an end."""
    info, verbose = trt.ILogger.INFO, trt.ILogger.VERBOSE
    monitor = config.__dict__.get("_progress_monitor")
    if plan.device == "DLA":
        dla_lines(plan, lambda text: log(info, text))
    log(info, "Global timing cache in use. Profiling results in this builder pass will be stored.")
    if monitor is not None:
        monitor.phase_start("Building Engine", None, 2)
        monitor.phase_start("Timing Graph Nodes", "Building Engine", len(plan.layers))
    goes_on = True
    for step, layer in enumerate(plan.layers):
        log(verbose, f"=============== Computing costs for {layer['Name']}")
        log(verbose, f"--------------- Timing Runner: {layer['Name']} ({layer['LayerType']})")
        if monitor is not None and goes_on:
            goes_on = monitor.step_complete("Timing Graph Nodes", step)
    if monitor is not None:
        monitor.phase_finish("Timing Graph Nodes")
        goes_on = goes_on and monitor.step_complete("Building Engine", 0)
        goes_on = goes_on and monitor.step_complete("Building Engine", 1)
        monitor.phase_finish("Building Engine")
    log(info, "Detected 1 inputs and 1 output network tensors.")
    log(info, "Engine generation completed in 0.01 seconds.")
    return goes_on


def dla_lines(plan: Plan, log: Any) -> None:
    log("---------- Layers Running on DLA ----------")
    for layer in plan.layers:
        if layer["LayerType"] == "DLA":
            log(f"[DlaLayer] {layer['Name']}")
    log("---------- Layers Running on GPU ----------")
    for layer in plan.layers:
        if layer["LayerType"] != "DLA":
            log(f"[GpuLayer] {layer['LayerType'].upper()}: {layer['Name']}")
