"""Scores a graph of a case, counts its form and asks TensorRT's parser and builder about it.

    python -m benchmarks.quantization.judge prepare CASE
    python -m benchmarks.quantization.judge score CASE MODEL DRAWS
    python -m benchmarks.quantization.judge tensorrt MODEL

Each is a process of its own: one that crashes is a row with a reason.
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import onnx

from benchmarks.quantization.cases import CASES, DEVICE
from benchmarks.quantization.graph import form
from edgesdk._optional import available
from edgesdk.devices import load_device, target_opset
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import read_model


def prepare(name: str) -> dict[str, Any]:
    """The float model, the calibration tensors and the float answers of a case."""
    case = CASES[name]
    case.prepare()
    cards = case.score(case.float_path.read_bytes(), case.measured_pictures())
    case.cards_path.write_bytes(pickle.dumps(cards))
    return {"float": round(cards.main_figure(), 4)}


def score(name: str, path: str, draws: str) -> dict[str, Any]:
    """Metrics beside those of the float model; the graph's form; what the project's lint finds."""
    case = CASES[name]
    reference = pickle.loads(case.cards_path.read_bytes())  # written by this run
    cards = case.score(Path(path).read_bytes(), case.measured_pictures())
    metrics = {"all": cards.against(reference, int(draws))}
    names = [picture.name for picture in case.measured_pictures()] if case.parts else []
    for part, select in case.parts.items():
        chosen = select(names)
        metrics[part] = cards.of(chosen).against(reference.of(chosen), int(draws))
    findings = check_for_tensorrt(read_model(Path(path)), target_opset(load_device(DEVICE)))
    return {
        "metrics": metrics,
        "form": form(onnx.load(path), onnx.load(case.float_path)),
        "lint": dict(Counter(finding.rule for finding in findings)),
    }


def tensorrt(path: str) -> dict[str, Any]:
    """Whether TensorRT-RTX parses the graph and builds an engine of it, without a GPU."""
    if not available("tensorrt_rtx"):
        return {"tensorrt": {"verdict": "not installed"}}
    trt = importlib.import_module("tensorrt_rtx")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)  # kept: the parser crashes when it is collected
    parser = trt.OnnxParser(network, logger)
    said: dict[str, Any] = {"version": trt.__version__}
    if not parser.parse(Path(path).read_bytes()):
        error = parser.get_error(0)
        said |= {"verdict": "not parsed", "reason": str(error.desc())[:300]}
        return {"tensorrt": said}
    began = time.monotonic()
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    said["verdict"] = "builds" if engine is not None else "parsed, not built"
    said["build_seconds"] = round(time.monotonic() - began, 1)
    return {"tensorrt": said}


def main() -> None:
    """Run one of the three and print its answer, the last line of stdout."""
    _, what, *arguments = sys.argv
    answer = {"prepare": prepare, "score": score, "tensorrt": tensorrt}[what](*arguments)
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
