"""Classes that our code subclasses, and the small ones that it fills."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def abstract(title: str) -> Any:
    raise RuntimeError(f'Tried to call pure virtual function "{title}"')


class ILogger:
    def log(self, severity: Any, msg: str) -> None:
        abstract("ILogger::log")


class Logger:
    def __init__(self, min_severity: Any = None) -> None:
        self._min_severity = min_severity or self._trt.ILogger.WARNING  # type: ignore[attr-defined]

    def log(self, severity: Any, msg: str) -> None:
        if int(severity) <= int(self._min_severity):
            sys.stderr.write(f"[TRT] [{severity.name[0]}] {msg}\n")


class IProgressMonitor:
    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        abstract("IProgressMonitor::phaseStart")

    def step_complete(self, phase_name: str, step: int) -> bool:
        abstract("IProgressMonitor::stepComplete")
        return True

    def phase_finish(self, phase_name: str) -> None:
        abstract("IProgressMonitor::phaseFinish")


class IProfiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        abstract("IProfiler::reportLayerTime")


class Profiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        sys.stderr.write(f"{layer_name}: {ms}ms\n")


class IInt8EntropyCalibrator2:
    def get_algorithm(self) -> Any:
        return self._trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2  # type: ignore[attr-defined]

    def get_batch_size(self) -> int:
        abstract("IInt8Calibrator::getBatchSize")
        return 0

    def get_batch(self, names: list[str]) -> Any:
        abstract("IInt8Calibrator::getBatch")

    def read_calibration_cache(self) -> Any:
        abstract("IInt8Calibrator::readCalibrationCache")

    def write_calibration_cache(self, cache: Any) -> None:
        abstract("IInt8Calibrator::writeCalibrationCache")


class Dims:
    def __init__(self, shape: Any = ()) -> None:
        self._values = tuple(int(v) for v in shape)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __eq__(self, other: object) -> bool:
        return tuple(self._values) == tuple(other)  # type: ignore[call-overload, no-any-return]

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        inside = ", ".join(map(str, self._values))
        return f"({inside}{',' if len(self._values) == 1 else ''})"


class Weights:
    def __init__(self, type: Any = None, ptr: int = 0, count: int = 0, a: Any = None) -> None:
        self._array = np.zeros(0, np.float32) if a is None else np.ascontiguousarray(a)

    @property
    def size(self) -> int:
        return int(self._array.size)

    @property
    def nbytes(self) -> int:
        return int(self._array.nbytes)

    def numpy(self) -> Any:
        return self._array
