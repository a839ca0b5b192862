"""Run by test_builder_real in a process of its own: edgesdk's builder on the real `tensorrt` 11.

    python -m tests.tensorrt.build_real CASE

Prints as JSON what came of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorrt as trt
from onnx import helper

from edgesdk.backends.tensorrt.building.builder import BuildOrder, BuiltEngine, build_engine
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.errors import EdgeError
from edgesdk.model import Model
from tests.onnx_graphs import make_model
from tests.tensorrt.nets import PLAIN, float_net, half_net, int8_net, varying_net

MIB = 1024**2


def built(
    model: Model,
    settings: EngineSettings = PLAIN,
    *,
    stop: Callable[[], bool] = lambda: False,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Size, progress and log of one build, or its error."""
    shares: list[float] = []
    lines: list[str] = []
    order = BuildOrder(
        memory_bytes=8 * 1024 * MIB,
        timing_cache=cache,
        progress=lambda name, share, left: shares.append(share),
        stop=stop,
        hear=lines.append,
        inspect=lambda trt, data, log: (),  # an engine cannot be loaded without a GPU
    )
    try:
        engine: BuiltEngine = build_engine(trt, model, settings, order)
    except EdgeError as error:
        return {"error": error.message, "hint": error.hint, "shares": shares}
    return {
        "bytes": len(engine.data),
        "version": engine.version,
        "shares": shares,
        "lines": len(lines),
        "warnings": engine.warnings,
    }


def precisions() -> dict[str, Any]:
    return {"fp32": built(float_net()), "fp16": built(half_net()), "int8": built(int8_net())}


def settings() -> dict[str, Any]:
    several = {f"level {level}": EngineSettings(optimization_level=level) for level in range(6)}
    several["workspace"] = EngineSettings(workspace_bytes=64 * MIB)
    several["strip"] = EngineSettings(strip_weights=True)
    several["later"] = EngineSettings(version_compatible=True)
    several["dla"] = EngineSettings(dla=DlaSettings())
    return {name: built(half_net(), one) for name, one in several.items()}


def ranges() -> dict[str, Any]:
    batches = ShapeRange((1, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32))
    return {"batches": built(varying_net(), EngineSettings(shapes={"images": batches}))}


def stops() -> dict[str, Any]:
    return {"stopped": built(float_net(), stop=lambda: True)}


def caches() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "timing.cache"
        first = built(float_net(), cache=path)
        size = path.stat().st_size
        second = built(float_net(), cache=path)
        path.write_bytes(b"this is no timing cache")
        third = built(float_net(), cache=path)
        again = path.stat().st_size
    return {"first": first, "second": second, "third": third, "sizes": [size, again]}


def refusals() -> dict[str, Any]:
    unknown = helper.make_node("Det", ["images"], ["out"], "riddle")
    operator = make_model([unknown], {}, {"images": [1, 3, 32, 32]}, ["out"])
    return {"operator": built(Model.of(operator))}


CASES = {one.__name__: one for one in (precisions, settings, ranges, stops, caches, refusals)}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(CASES[sys.argv[1]]()))
