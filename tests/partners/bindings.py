"""TensorRT's real Python bindings of six versions, importable on a machine without TensorRT.

The bindings come from the package index (about 5 MB each, without dependencies). What they load,
libnvinfer and its two companions, is replaced by a stub library whose factories give nothing: the
whole API can be looked at and subclassed, and no object of TensorRT can be made. 8.6.1 is the
oldest that the index has; the list of 8.5 (JetPack 5) is read from NVIDIA's source of the
bindings instead, by tests.tensorrt_source.

The bindings of 11 also work on the library of TensorRT-RTX (`library="rtx"`), which parses ONNX and
builds engines on the CPU; those of 10 crash there.

    python -m tests.partners.bindings           installs what is missing
    python -m tests.partners.bindings lists     writes tests/tensorrt_api/<version>.json anew
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from tests.partners import folder

PACKAGES = {
    "8.6.1": "tensorrt-bindings==8.6.1",
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.13.3": "tensorrt-cu12-bindings==10.13.3.9",
    "10.16.1": "tensorrt-cu13-bindings==10.16.1.11",
    "11.0.0": "tensorrt-cu13-bindings==11.0.0.114",
    "11.4.0": "tensorrt-cu13-bindings==11.4.0.106",
}
"""Version -> the package that has its bindings."""

LISTS = Path(__file__).parent.parent / "tensorrt_api"
STUB = Path(__file__).parent.parent / "tensorrt_stub.cpp"
SHIM = Path(__file__).parent.parent / "tensorrt_shim.cpp"
Library = Literal["stub", "rtx"]
"""What stands behind the bindings; "rtx" for 11 only."""
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")
MODULE = """\
from tensorrt_bindings import *
from tensorrt_bindings import __version__
"""
"""NVIDIA's package `tensorrt` is such a shell around `tensorrt_bindings`."""


def home(version: str) -> Path:
    """Where the bindings of `version` are, or would be."""
    return folder("bindings") / version


def installed(version: str) -> bool:
    """The mark is written last: half an installation is none."""
    mark = home(version) / "complete"
    return mark.exists() and mark.read_text() == wanted(version)


def wanted(version: str) -> str:
    """What the mark of a complete installation says."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{PACKAGES[version]}, Python {python}\n{STUB.read_text()}{SHIM.read_text()}"


def rtx_libraries() -> Path:
    """Where TensorRT-RTX's libraries are. Skips without them."""
    found = importlib.util.find_spec("tensorrt_rtx_libs")
    if found is None or found.origin is None:
        pytest.skip("needs tensorrt-rtx: scripts/partners")
    return Path(found.origin).parent


def run(
    version: str, *arguments: str, library: Library = "stub"
) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own that can import `tensorrt` of `version`. Skips without it."""
    if not installed(version):
        pytest.skip(f"needs TensorRT's bindings {version}: scripts/partners")
    own = home(version)
    paths = [str(own), str(Path(__file__).parents[2])]
    libraries = [str(own / library), os.environ.get("LD_LIBRARY_PATH", "")]
    if library == "rtx":
        libraries.insert(1, str(rtx_libraries()))
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
    }
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=env, check=False
    )


def fresh_list(version: str) -> str:
    """What the real bindings offer today, as the committed lists have it."""
    done = run(version, "-m", "tests.tensorrt_dump", "tensorrt")
    if done.returncode:
        raise RuntimeError(f"the bindings {version} do not load: {done.stderr.strip()}")
    json.loads(done.stdout)
    return done.stdout


def compile_library(source: Path, target: Path, major: str) -> None:
    """Under all the names that the bindings look for."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise RuntimeError("g++ is needed to compile the stub libraries: apt install g++")
    target.mkdir(parents=True)
    first = target / f"lib{LIBRARIES[0]}.so.{major}"
    command = [compiler, "-shared", "-fPIC", "-O1", "-std=c++17", f"-DTRT_MAJOR={major}"]
    command += [str(source), "-pthread", "-ldl", "-o", str(first)]
    subprocess.run(command, check=True)
    for name in LIBRARIES[1:]:
        shutil.copy(first, target / f"lib{name}.so.{major}")


def install(version: str) -> None:
    print(f"installing TensorRT's bindings {version}", file=sys.stderr)
    own = home(version)
    shutil.rmtree(own, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--no-deps", "--target", str(own), PACKAGES[version]]
    if subprocess.run(command, check=False).returncode:  # 8.6.1 has none for Python 3.12
        print(f"not for this Python: tests with {version} will be skipped", file=sys.stderr)
        return
    major = version.partition(".")[0]
    compile_library(STUB, own / "stub", major)
    if major == "11":
        compile_library(SHIM, own / "rtx", major)
    (own / "tensorrt").mkdir()
    (own / "tensorrt" / "__init__.py").write_text(MODULE)
    (own / "complete").write_text(wanted(version))


def main(arguments: list[str]) -> None:
    for version in PACKAGES:
        if not installed(version):
            install(version)
    if arguments == ["lists"]:
        LISTS.mkdir(exist_ok=True)
        for version in PACKAGES:
            print(f"writing the list of {version}", file=sys.stderr)
            (LISTS / f"{version}.json").write_text(fresh_list(version))


if __name__ == "__main__":
    main(sys.argv[1:])
