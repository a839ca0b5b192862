"""The ways to make INT8: edgesdk's by its command line, the peers' in their own environment."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quantization.cases import DEVICE, Case
from benchmarks.quantization.process import Done, Failed, run

PEERS = (
    "onnxruntime min-max",
    "onnxruntime min-max, all operators",
    "onnxruntime entropy",
    "onnxruntime percentile 99.99",
    "modelopt max",
    "modelopt entropy",
    "nncf performance",
    "nncf per-tensor activations",
    "nncf accuracy control",
)
OWN = {
    "edgesdk fast": ("--recipe", "fast"),
    "edgesdk balanced": ("--recipe", "balanced"),
    "edgesdk accurate": ("--recipe", "accurate"),
    "edgesdk balanced --max-drop 1%": ("--recipe", "balanced", "--max-drop", "1%"),
}
METHODS = (*PEERS, *OWN)


@dataclass(frozen=True)
class Made:
    """An INT8 graph, and what it took to make it."""

    path: Path
    said: dict[str, Any]
    """What the method itself reports of its accuracy."""
    cost: dict[str, float]
    versions: dict[str, str]


def by_peer(case: Case, method: str, python: Path, limit_seconds: float) -> Made:
    """Ask a peer. Raises Failed."""
    out = case.folder / "peer.onnx"
    out.unlink(missing_ok=True)
    job = case.folder / "job.json"
    fields = {"method": method, "model": case.float_path, "feeds": case.feeds_path}
    fields |= {"case": case.name, "out": out}
    job.write_text(json.dumps({key: str(value) for key, value in fields.items()}))
    done = run([python, "-m", "benchmarks.quantization.peer", job], limit_seconds)
    said = done.answer["said"]
    if said:
        said["drop"] = round(said["float"] - said["int8"], 4)
    return Made(out, said, done.answer["cost"], done.answer["versions"])


def by_edgesdk(case: Case, method: str, limit_seconds: float) -> Made:
    """Build a bundle as a user does. Raises Failed.

    What reading the pictures and a build without quantization take is taken off the CPU seconds:
    peers are given tensors, and their imports do not count either.
    """
    start = _built(case, ("--precision", "fp32"), "start", limit_seconds)
    options = list(OWN[method])
    recovers = "--max-drop" in options
    done = _built(case, ("--data", case.calibration(), *options), "int8", limit_seconds, recovers)
    pictures = int(done.answer["calibration"]["pictures"])
    inference = _inference(case, pictures, limit_seconds)
    available = len(np.load(case.feeds_path, mmap_mode="r"))
    reading = json.loads(case.reading_path.read_text()) * pictures / available
    own = done.cpu_seconds - start.cpu_seconds - reading
    cost = {
        "cpu_seconds": round(own, 2),
        "wall_seconds": done.wall_seconds,
        "peak_mb": done.peak_mb,
        "imported_mb": start.peak_mb,
        "pictures": pictures,
        "inference_cpu_seconds": round(inference, 2),
        "ratio": round(own / inference, 2),
        "whole_command_cpu_seconds": done.cpu_seconds,
        "start_cpu_seconds": start.cpu_seconds,
        "reading_cpu_seconds": round(reading, 2),
    }
    said = _said(done.answer) if recovers else {}
    packages = ("edgesdk", "onnxruntime", "onnx", "numpy")
    versions = {name: version(name) for name in packages}
    return Made(case.folder / "int8.edge" / "model.onnx", said, cost, versions)


def _built(
    case: Case, options: tuple[str, ...], name: str, limit_seconds: float, recovers: bool = False
) -> Done:
    """`edgesdk build`, with no cache to begin with. Only recovery measures more than a picture."""
    cache, out = case.folder / "cache", case.folder / f"{name}.edge"
    for old in (cache, out):
        shutil.rmtree(old, ignore_errors=True)
    command = [sys.executable, "-m", "edgesdk", "build", case.name if case.zoo else case.source()]
    command += ["--device", DEVICE, *options, "--out", out, "--json", "--quiet"]
    command += [] if case.zoo else ["--spec", case.spec_path]
    command += [] if recovers else ["--eval", _one_picture(case)]
    return run(command, limit_seconds, {"EDGESDK_CACHE": str(cache)})


def _said(bundle: dict[str, Any]) -> dict[str, Any]:
    """What a bundle states of its accuracy and of the way there; `drop` of the first metric."""
    kept = ("accuracy", "recovery")
    said: dict[str, Any] = _without_paths({key: bundle[key] for key in kept if bundle.get(key)})
    for metric in said.get("accuracy", {}).get("metrics", [])[:1]:
        said["drop"] = round(metric["float_model"] - metric["bundle"], 4)
    return said


def _without_paths(value: Any) -> Any:
    """The same, files of this machine by their names alone."""
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _one_picture(case: Case) -> Path:
    path = case.folder / "one.npz"
    picture = next(iter(case.calibration_pictures()))
    np.savez(path, X=picture.image[None, ..., ::-1])
    return path


def _inference(case: Case, pictures: int, limit_seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.quantization.cost"]
    done = run([*command, case.float_path, case.feeds_path, str(pictures)], limit_seconds)
    return float(done.answer["inference_cpu_seconds"])


__all__ = ["METHODS", "OWN", "PEERS", "Failed", "Made", "by_edgesdk", "by_peer"]
