"""The tests for a GPU run here on stand-ins, so that an owner of a board meets no slip of ours.

What they would say of a GPU, only a GPU can make them say: see tests/cuda/rehearsal.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cuda.rehearsal import VERSION
from tests.kernel_twin import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An "image" that the stand-in runs: the kernels' source as C++."""
    folder = tmp_path_factory.mktemp("kernels")
    image = folder / "image"
    image.write_text(f"STAND-IN TWIN {build(folder / 'twin.so')}\n")
    return image


@pytest.mark.parametrize(
    ("version", "which"),
    [
        ("8.6.1", "not traffic"),  # to build the app's bundle takes long; once is enough
        ("10.3.0", ""),
        ("11.4.0", "not traffic"),
    ],
)
def test_the_tests_for_a_gpu_run(version: str, which: str, kernels: Path, tmp_path: Path) -> None:
    junit = tmp_path / "gpu.xml"
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu", "-q", "-k", which]
    done = subprocess.run(
        [*command, "-p", "tests.cuda.rehearsal", f"--junitxml={junit}"],
        cwd=ROOT,
        env={**os.environ, VERSION: version, "EDGESDK_TEST_KERNELS": str(kernels)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    skipped = [
        case for case in ET.parse(junit).iter("testcase") if case.find("skipped") is not None
    ]
    reasons = {case.find("skipped").get("message") for case in skipped}  # type: ignore[union-attr]
    assert all("TensorRT 10" in r or "with DLA" in r for r in reasons), reasons
