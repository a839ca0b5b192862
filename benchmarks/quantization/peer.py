"""Quantizes one model with one peer's method; runs in the peers' environment, one job a process.

    python -m benchmarks.quantization.peer JOB.json

Writes the graph beside the job and what it cost as one JSON object, the last line of stdout.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.quantization.cost import (
    inference_cpu_seconds,
    peak_mb,
    process_cpu_seconds,
    resident_mb,
)

VALIDATION_PICTURES = 32
"""What accuracy control may look at; they are calibration pictures, the others stay unseen."""


LAYERS = ["Conv", "ConvTranspose", "Gemm", "MatMul"]
"""What onnxruntime is told to quantize; by itself it takes every operator that it knows."""


@dataclass(frozen=True)
class Job:
    """What is asked of a peer."""

    method: str
    model: str
    """The prepared float model, ONNX."""
    feeds: str
    """.npy of the calibration tensors, float32, (N, C, H, W)."""
    case: str
    """Name of the case, for accuracy control's validation."""
    out: str

    @property
    def input(self) -> str:
        """Name of the model's input."""
        return str(onnx.load(self.model, load_external_data=False).graph.input[0].name)

    def tensors(self) -> np.ndarray:
        """All tensors, mapped from the file: reading them is no part of the cost."""
        return np.load(self.feeds, mmap_mode="r")

    def each(self) -> Iterator[dict[str, np.ndarray]]:
        """One feed for each picture."""
        name = self.input
        return ({name: np.ascontiguousarray(tensor[None])} for tensor in self.tensors())


After = Callable[[], dict[str, Any]]
"""What the method says of its accuracy, worked out when its cost has been taken."""
Method = Callable[[Job], After]


def onnxruntime_peer(method: str) -> Method:
    """onnxruntime's static quantizer: Q/DQ, symmetric int8, per-channel weights, float bias."""
    from onnxruntime.quantization import (  # noqa: PLC0415 (each peer costs its own imports)
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader:
        """Pictures one by one, as onnxruntime's quantizer asks for them."""

        def __init__(self, job: Job) -> None:
            self._feeds = job.each()

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._feeds, None)

    def run(job: Job) -> After:
        options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
        if method == "Percentile":
            options["CalibPercentile"] = 99.99
        every = method == "MinMax, all operators"
        quantize_static(
            job.model,
            job.out,
            Reader(job),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=None if every else LAYERS,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method.partition(",")[0]],
            extra_options=options,
        )
        return dict

    return run


def modelopt_peer(method: str) -> Method:
    """NVIDIA ModelOpt's ONNX quantizer, the rest of the graph left in float32."""
    from modelopt.onnx.quantization import quantize  # noqa: PLC0415

    def run(job: Job) -> After:
        quantize(
            job.model,
            quantize_mode="int8",
            calibration_data={job.input: np.asarray(job.tensors())},
            calibration_method=method,
            calibration_eps=["cpu"],
            output_path=job.out,
            high_precision_dtype="fp32",
            log_level="WARNING",
        )
        return dict

    return run


def nncf_peer(method: str) -> Method:
    """NNCF's post-training quantization, performance preset."""
    import nncf  # noqa: PLC0415
    from nncf.quantization.advanced_parameters import (  # noqa: PLC0415
        AdvancedQuantizationParameters,
        QuantizationParameters,
    )

    def run(job: Job) -> After:
        model = onnx.load(job.model)
        data = nncf.Dataset(list(range(len(job.tensors()))), _feed_of(job))
        settings = {
            "preset": nncf.QuantizationPreset.PERFORMANCE,
            "subset_size": len(job.tensors()),
        }
        if method == "accuracy control":
            return _with_accuracy_control(job, model, data, settings)
        if method == "per-tensor":
            per_tensor = AdvancedQuantizationParameters(
                activations_quantization_params=QuantizationParameters(per_channel=False)
            )
            made = nncf.quantize(model, data, advanced_parameters=per_tensor, **settings)
        else:
            made = nncf.quantize(model, data, **settings)
        onnx.save(made, job.out)
        return dict

    return run


def _with_accuracy_control(
    job: Job, model: onnx.ModelProto, data: Any, settings: dict[str, Any]
) -> After:
    import nncf  # noqa: PLC0415

    validate = _validation(job)
    seen = range(VALIDATION_PICTURES)
    made = nncf.quantize_with_accuracy_control(
        model,
        data,
        nncf.Dataset(list(seen), _feed_of(job)),
        validate,
        max_drop=0.01,
        drop_type=nncf.DropType.RELATIVE,
        **settings,
    )
    onnx.save(made, job.out)
    return lambda: {
        "on": f"the {VALIDATION_PICTURES} pictures of its validation",
        "float": round(validate(model, seen)[0], 4),
        "int8": round(validate(made, seen)[0], 4),
    }


def _feed_of(job: Job) -> Callable[[int], dict[str, np.ndarray]]:
    name, tensors = job.input, job.tensors()
    return lambda index: {name: np.ascontiguousarray(tensors[index][None])}


def _validation(job: Job) -> Callable[[Any, Any], tuple[float, list[float]]]:
    """The task's metric on the first calibration pictures, as a user of NNCF would write it."""
    from benchmarks.quantization.cases import CASES  # noqa: PLC0415

    case = CASES[job.case]
    pictures = list(islice(case.calibration_pictures(), VALIDATION_PICTURES))

    def validate(model: Any, items: Any) -> tuple[float, list[float]]:
        chosen = [pictures[index] for index in items]
        cards = case.score(model.SerializeToString(), iter(chosen))
        return cards.main_figure(), [cards.of([i]).main_figure() for i in range(len(chosen))]

    return validate


METHODS: dict[str, tuple[Callable[[str], Method], str]] = {
    "onnxruntime min-max": (onnxruntime_peer, "MinMax"),
    "onnxruntime min-max, all operators": (onnxruntime_peer, "MinMax, all operators"),
    "onnxruntime entropy": (onnxruntime_peer, "Entropy"),
    "onnxruntime percentile 99.99": (onnxruntime_peer, "Percentile"),
    "modelopt max": (modelopt_peer, "max"),
    "modelopt entropy": (modelopt_peer, "entropy"),
    "nncf performance": (nncf_peer, ""),
    "nncf per-tensor activations": (nncf_peer, "per-tensor"),
    "nncf accuracy control": (nncf_peer, "accuracy control"),
}
"""The part that makes it, and what it is told."""


def main() -> None:
    """Run the job, measure it, say what it cost."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    make, argument = METHODS[job.method]
    run = make(argument)
    imported, cpu, wall = resident_mb(), process_cpu_seconds(), time.monotonic()
    after = run(job)
    cost = {
        "cpu_seconds": round(process_cpu_seconds() - cpu, 2),
        "wall_seconds": round(time.monotonic() - wall, 2),
        "peak_mb": round(peak_mb()),
        "imported_mb": round(imported),
    }
    tensors = job.tensors()
    inference = inference_cpu_seconds(job.model, tensors)
    cost |= {
        "pictures": len(tensors),
        "inference_cpu_seconds": round(inference, 2),
        "ratio": round(cost["cpu_seconds"] / inference, 2),
    }
    packages = ("onnxruntime", "nvidia-modelopt", "nncf", "onnx", "torch", "numpy")
    versions = {name: version(name) for name in packages}
    sys.stdout.write(
        "\n" + json.dumps({"cost": cost, "said": after(), "versions": versions}) + "\n"
    )


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
