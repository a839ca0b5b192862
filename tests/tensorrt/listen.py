"""Run by test_listeners in a process of its own, with the real bindings of one version.

    python -m tests.tensorrt.listen logger|monitor|calibrator|profiler

Prints as JSON what our class heard when the C++ side called it.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import tensorrt as trt

from edgesdk.backends.tensorrt.building.calibrator import make_calibrator
from edgesdk.backends.tensorrt.building.progress import Phases, Reporter, make_monitor
from edgesdk.backends.tensorrt.logging import Messages, make_log
from edgesdk.backends.tensorrt.runtime.phases import make_profiler
from edgesdk.errors import BackendError

HEAD_BYTES = 16
"""Of a Python object; there pybind11 keeps the pointer to the C++ object."""


def library() -> ctypes.CDLL:
    name = f"libnvinfer.so.{trt.__version__.partition('.')[0]}"
    return ctypes.CDLL(str(Path(trt.__file__).parents[1] / "stub" / name))


def cpp(thing: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(ctypes.c_void_p.from_address(id(thing) + HEAD_BYTES).value)


def logger() -> dict[str, Any]:
    lines: list[str] = []
    messages = Messages(lines.append)
    log = make_log(trt, messages)
    later = Messages()
    make_log(trt, later)
    levels = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
    for level in levels:
        severity = int(getattr(trt.ILogger, level))
        library().tell_logger(cpp(log), severity, f"{level} of the library".encode())
    try:
        trt.Builder(log)
    except TypeError as error:
        refusal = str(error)
    errors = messages.last_errors()
    return {
        "heard": lines,
        "errors": errors,
        "warnings": messages.warnings,
        "builder": refusal,
        "later": later.last_errors(),
    }


def monitor() -> dict[str, Any]:
    shown: list[tuple[str, float]] = []
    asked = iter([False, False, True])
    reporter = Reporter(lambda name, share, left: shown.append((name, share)), lambda: next(asked))
    own = make_monitor(trt, Phases(reporter))
    called, it = library(), cpp(own)
    called.tell_start(it, b"Building Engine", None, 2)
    answers = [called.tell_step(it, b"Building Engine", 0)]
    called.tell_start(it, b"Timing Graph Nodes", b"Building Engine", 4)
    answers += [called.tell_step(it, b"Timing Graph Nodes", step) for step in (0, 1)]
    called.tell_finish(it, b"Timing Graph Nodes")
    try:
        reporter.settle()
    except BackendError as error:
        stopped = error.message
    return {"shown": shown, "answers": answers, "stopped": stopped}


def calibrator() -> dict[str, Any]:
    own = make_calibrator(trt, {"images": 1.0, "conv1": 127.0})
    called, it = library(), cpp(own)
    called.ask_cache.restype = ctypes.c_void_p
    length = ctypes.c_size_t(0)
    address = called.ask_cache(it, ctypes.byref(length))
    cache = ctypes.string_at(address, length.value)
    called.tell_cache(it, cache, ctypes.c_size_t(len(cache)))
    before = own.refused
    batch = called.ask_batch(it, b"images")
    return {
        "cache": cache.decode(),
        "batch_size": called.ask_batch_size(it),
        "algorithm": called.ask_algorithm(it),
        "wanted": int(trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2),
        "refused": [before, batch, own.refused],
    }


def profiler() -> dict[str, Any]:
    times: dict[str, list[float]] = {}
    own = make_profiler(trt, times)
    called, it = library(), cpp(own)
    for name, ms in ((b"conv1", 0.5), (b"conv2 + relu", 0.25), (b"conv1", 0.75)):
        called.tell_profiler(it, name, ctypes.c_float(ms))
    return times


CASES = {one.__name__: one for one in (logger, monitor, calibrator, profiler)}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(CASES[sys.argv[1]]()))
