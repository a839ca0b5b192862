"""The CUDA kernels' own source as C++ on the CPU, and memory that stands in for a GPU's.

This shows the kernels' arithmetic and addresses. It shows nothing of a GPU: no parallel threads, no
memory of a device, no asynchrony.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import edgesdk

HERE = Path(__file__).parent
KERNELS = Path(edgesdk.__file__).parent / "backends" / "tensorrt" / "kernels"


def build(path: Path, *options: str) -> Path:
    """Compile the twin into the shared object `path`.

    Without contraction, so that a product and a sum are rounded one after the other, as the
    kernels ask a GPU to do.
    """
    if shutil.which("g++") is None:
        pytest.skip("the kernels' twins need a C++ compiler: apt install g++")
    command = ["g++", "-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared"]
    strict = ["-Wall", "-Wextra", "-Werror", f"-I{KERNELS}"]
    source = str(HERE / "twin.cpp")
    subprocess.run([*command, *strict, *options, "-o", str(path), source], check=True)
    return path
