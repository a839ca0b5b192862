"""scripts/test has two stages; the second must not undo what the first has written."""

from __future__ import annotations

import subprocess

import pytest

from tests.cuda.__main__ import main
from tests.partners import pycuda


def test_the_tests_for_a_gpu_are_no_matter_of_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would write an empty gpu.xml over the one that the owner of a board shall send."""
    started: list[object] = []
    monkeypatch.setattr(pycuda, "installed", lambda: True)
    monkeypatch.setattr(pycuda, "environment", dict)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: started.append(command))
    assert main(["-m", "gpu", "--junitxml=gpu.xml"]) == pytest.ExitCode.NO_TESTS_COLLECTED
    assert started == []
