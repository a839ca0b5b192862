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

from tests.cuda.rehearsal import SPOILT, VERSION
from tests.kernel_twin import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An "image" that the stand-in runs: the kernels' source as C++."""
    folder = tmp_path_factory.mktemp("kernels")
    image = folder / "image"
    image.write_text(f"STAND-IN TWIN {build(folder / 'twin.so')}\n")
    return image


def rehearse(kernels: Path, folder: Path, which: str, **environment: str) -> tuple[str, ET.Element]:
    """Run the tests for a GPU that `which` selects; pytest's last line, and its JUnit file."""
    junit = folder / "gpu.xml"
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu", "-q", "-k", which]
    done = subprocess.run(
        [*command, "-p", "tests.cuda.rehearsal", f"--junitxml={junit}"],
        cwd=ROOT,
        env={**os.environ, "EDGESDK_TEST_KERNELS": str(kernels), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert junit.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout[-6000:], ET.parse(junit).getroot()


def failed(junit: ET.Element) -> list[str]:
    cases = junit.iter("testcase")
    return [c.get("name", "") for c in cases if c.findall("failure") + c.findall("error")]


@pytest.mark.parametrize(
    ("version", "which"),
    [
        ("8.6.1", "not traffic"),  # to build the app's bundle takes long; once is enough
        ("10.3.0", ""),
        ("11.4.0", "not traffic"),
    ],
)
def test_the_tests_for_a_gpu_run(version: str, which: str, kernels: Path, tmp_path: Path) -> None:
    said, junit = rehearse(kernels, tmp_path, which, **{VERSION: version})
    assert failed(junit) == [], said
    assert len(list(junit.iter("testcase"))) > 30
    reasons = [skipped.get("message", "") for skipped in junit.iter("skipped")]
    assert all("TensorRT 10" in reason or "with DLA" in reason for reason in reasons), reasons


@pytest.mark.parametrize(
    ("spoilt", "which", "expected"),
    [
        ("int8", "int8_runs_in_int8", ["residual", "depthwise"]),
        ("cache", "timing_cache", ["timing_cache"]),
        ("answers", "answers_as_onnx", ["fp32", "fp16", "int8"] * 3),
        ("answers", "graph_gives or zero_copy", ["graph", "zero_copy"]),
    ],
)
def test_they_fail_where_a_gpu_does_wrong(
    spoilt: str, which: str, expected: list[str], kernels: Path, tmp_path: Path
) -> None:
    which = f"({which}) and not dla"
    environment = {VERSION: "10.3.0", SPOILT: spoilt}
    said, junit = rehearse(kernels, tmp_path, which, **environment)
    found = sorted(failed(junit))
    assert len(found) == len(expected), said
    assert all(any(part in name for name in found) for part in expected), said
