"""Imports go downwards only, and heavy packages come in through one door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgesdk

PACKAGE = Path(edgesdk.__file__).parent

LAYERS = [
    {"cli", "__main__"},
    {"demo"},
    {
        *("apps", "build", "report", "doctor", "bench", "accuracy", "checkup"),
        *("exports", "fieldreport", "anomaly"),
    },
    {"sinks", "web", "signals"},
    {"inspection", "traffic", "triage"},
    {"pipeline", "sim"},
    {"vision"},
    {"backends"},
    {"calibration", "quantize", "lint"},
    {"zoo"},
    {"bundle", "spec"},
    {"pictures"},
    {"model", "devices", "board", "preprocess", "video", "capture"},
    {"tensors", "frames", "detections", "geometry"},
    {
        "errors",
        "_optional",
        "_resources",
        "_digest",
        "_config",
        "_files",
        "_sqlite",
        "_version",
        "_progress",
    },
]
"""From the top: a module may import from its own row or a lower one."""

HEAVY_ONLY_IN = {
    "onnxruntime": "backends/",
    "tensorrt": "backends/",
    "pycuda": "backends/",
    "jtop": "telemetry/",
    "torch": "importers/",
    "tensorflow": "importers/",
    "jax": "importers/",
    "uvicorn": "web/",
    "pymodbus": "signals/",
    "Jetson": "signals/",
}


def rank(module: str) -> int:
    part = module.split(".")[1] if "." in module else "__init__"
    return next((i for i, row in enumerate(LAYERS) if part in row), -1)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            if node.module == "edgesdk":
                yield from (f"edgesdk.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "require"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def module_of(path: Path) -> str:
    return ".".join(["edgesdk", *path.relative_to(PACKAGE).with_suffix("").parts])


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if "_data" not in p.parts]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_downwards(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return
    own = rank(module_of(path))
    assert own >= 0, f"{path} has no layer: add it to LAYERS"
    for name in imports(path):
        if name.startswith("edgesdk."):
            below = rank(name)
            assert below >= own, f"{path} imports upwards: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_in_one_place_each(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    for name in imports(path):
        allowed = HEAVY_ONLY_IN.get(name.partition(".")[0])
        assert allowed is None or relative.startswith(allowed), f"{relative} imports {name}"


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in out.stdout.split()}


HEAVY = {"numpy", "onnx", "cv2", "onnxruntime", "torch", "tensorrt", "pycuda", "rich", "jinja2"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import edgesdk") & HEAVY


def test_help_loads_nothing_heavy() -> None:
    statement = "from edgesdk.cli import edgesdk as e; e(['--help'], standalone_mode=False)"
    assert not loaded_by(statement) & HEAVY
