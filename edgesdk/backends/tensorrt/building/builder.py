"""From a bundle's graph to an engine, with any TensorRT from 8.5 to 11.

Nothing is decided here that the graph or the settings say already: precision comes from the
graph, shape ranges and the rest from the settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgesdk.backends.tensorrt.api.always import ILogger, TensorRT
from edgesdk.backends.tensorrt.building.assembly import Assembly
from edgesdk.backends.tensorrt.building.built import (
    BuildOrder,
    BuiltEngine,
    DlaReport,
    EngineLayer,
    FallbackLayer,
    no_lines,
)
from edgesdk.backends.tensorrt.building.checks import check_graph, check_settings
from edgesdk.backends.tensorrt.building.graph_facts import read_facts
from edgesdk.backends.tensorrt.building.honoured import not_honoured, say_not_honoured
from edgesdk.backends.tensorrt.building.inspector import inspect_bytes
from edgesdk.backends.tensorrt.building.log_progress import LogProgress
from edgesdk.backends.tensorrt.building.precision import Typing, decide_typing
from edgesdk.backends.tensorrt.building.progress import Reporter
from edgesdk.backends.tensorrt.building.timing_cache import TimingCache
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.logging import Messages
from edgesdk.backends.tensorrt.settings import EngineSettings, ShapeRange
from edgesdk.bundle import Bundle
from edgesdk.model import Model

__all__ = [
    "BuildOrder",
    "BuiltEngine",
    "DlaReport",
    "EngineLayer",
    "FallbackLayer",
    "build_engine",
    "settings_for",
]


def settings_for(bundle: Bundle) -> EngineSettings:
    """What the bundle itself says of its engine: the shape ranges of its inputs."""
    given = bundle.manifest.shapes
    return EngineSettings(
        shapes={name: ShapeRange(one.min, one.opt, one.max) for name, one in given.items()}
    )


def build_engine(
    trt: TensorRT, model: Model, settings: EngineSettings, order: BuildOrder
) -> BuiltEngine:
    """Build an engine of `model` with the TensorRT module `trt`, for the GPU of this machine.

    Raises UsageError for settings that do not fit the graph, and BackendError for a graph or a
    setting that this TensorRT cannot take (our own checks come first), when TensorRT fails (with
    its own last lines), and when `order.stop` asked for it.
    """
    started = time.monotonic()
    features = features_of(trt)
    check_settings(features, model, settings)
    check_graph(features, model)
    facts = read_facts(model)
    typing = decide_typing(features, facts, settings, order.pinned)
    reporter = Reporter(order.progress, order.stop)
    nodes = len(model.proto.graph.node)
    by_log = no_lines if features.progress_monitor else LogProgress(reporter, nodes).heard
    messages = Messages(_listener(by_log, reporter, order))
    assembly = Assembly(trt, features, messages, reporter)
    built = _assemble(assembly, model, settings, typing, order)
    log = assembly.log
    del assembly  # the builder's memory is free: the engine is loaded where it was
    layers = _layers(trt, built.data, settings, order, log)
    reporter.at("built", 1.0)
    reporter.settle()
    wanted = order.wanted_int8 if settings.implicit_int8 else facts.int8_nodes
    return replace(
        built,
        seconds=time.monotonic() - started,
        layers=layers,
        warnings=(*_int8_warnings(layers, wanted), *built.warnings),
        log=messages.warnings,
    )


def _layers(
    trt: TensorRT, data: bytes, settings: EngineSettings, order: BuildOrder, log: ILogger
) -> tuple[EngineLayer, ...]:
    if order.inspect is not None:
        return order.inspect(trt, data, log)
    return inspect_bytes(trt, data, log, settings.dla)


def _assemble(
    assembly: Assembly,
    model: Model,
    settings: EngineSettings,
    typing: Typing,
    order: BuildOrder,
) -> BuiltEngine:
    """The engine without its list of layers."""
    notes: list[str] = []
    with assembly:
        assembly.parse(model, typing)
        dla = assembly.configure(settings, typing, order)
        data = _build(assembly, order.timing_cache, notes)
    return BuiltEngine(
        data, assembly.features.text, 0.0, dla=dla, warnings=(*assembly.warnings, *notes)
    )


def _build(assembly: Assembly, cache_file: Path | None, notes: list[str]) -> bytes:
    """The engine's bytes; what is wrong with the timing cache goes into `notes`."""
    cache = TimingCache(cache_file, notes) if cache_file else None
    if cache:
        cache.load(assembly.config)
    data = assembly.build()
    if cache:
        cache.save(assembly.config)
    return data


def _listener(
    by_log: Callable[[str], None], reporter: Reporter, order: BuildOrder
) -> Callable[[str], None]:
    """What every line of the log goes to; nothing may be raised from it."""

    def listen(line: str) -> None:
        by_log(line)
        with reporter.guard:
            order.hear(line)

    return listen


def _int8_warnings(layers: tuple[EngineLayer, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted:
        return ()
    if not layers:
        return (
            "the engine's layers could not be listed: "
            f"whether its {len(wanted)} INT8 layers run in INT8 is not known",
        )
    return say_not_honoured(not_honoured(layers, wanted), len(wanted))
