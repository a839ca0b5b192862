"""What TensorRT calls of ours, called through the real bindings of each version.

Our classes derive from the real ones. A stub library calls them as TensorRT's would: through
C++'s virtual functions, from a thread that Python has not made. It shows that each call arrives
with its arguments and that our answer goes back. It does not show when TensorRT calls.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest

from tests.partners.bindings import PACKAGES, run

ALL = list(PACKAGES)
UNTIL_TEN = [version for version in ALL if not version.startswith("11")]
FROM_TEN = [version for version in ALL if not version.startswith("8")]


@lru_cache
def heard(version: str, what: str) -> dict[str, Any]:
    done = run(version, "-m", "tests.tensorrt.listen", what)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("version", ALL)
def test_the_logger_hears_all_lines_and_sorts_them(version: str) -> None:
    found = heard(version, "logger")
    levels = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
    lines = [f"{level} of the library" for level in levels]
    assert found["heard"] == [*lines, "this library builds nothing"]
    assert found["warnings"] == ["WARNING of the library"]
    told = [*lines[:2], "this library builds nothing"]
    assert found["errors"] == " | ".join(told)
    assert found["later"] == " | ".join(told), "who comes later hears the first logger as well"


@pytest.mark.parametrize("version", ALL)
def test_a_library_that_makes_no_builder_raises_a_type_error(version: str) -> None:
    assert "factory function returned nullptr" in heard(version, "logger")["builder"]


@pytest.mark.parametrize("version", FROM_TEN)
def test_the_monitor_hears_phases_and_can_stop_the_build(version: str) -> None:
    found = heard(version, "monitor")
    assert found["answers"] == [1, 1, 0]
    assert found["stopped"] == "the build was stopped"
    assert [tuple(one) for one in found["shown"]] == [
        ("Building Engine", 0.0),
        ("Building Engine", 0.5),
        ("Timing Graph Nodes", 0.5),
        ("Timing Graph Nodes", 0.625),
        ("Timing Graph Nodes", 0.75),
        ("Timing Graph Nodes", 0.75),
    ]


@pytest.mark.parametrize("version", UNTIL_TEN)
def test_the_calibrator_hands_its_ranges_over_and_no_pictures(version: str) -> None:
    found = heard(version, "calibrator")
    number = {"8.6.1": "8601", "10.3.0": "100300", "10.13.3": "101303", "10.16.1": "101601"}
    header, *lines = found["cache"].splitlines()
    assert header == f"TRT-{number[version]}-EntropyCalibration2"
    assert lines == ["images: 3c010204", "conv1: 3f800000"]  # 1/127 and 127/127 as float32
    assert found["batch_size"] == 1
    assert found["algorithm"] == found["wanted"] == 2
    assert found["refused"] == [False, 0, True]


@pytest.mark.parametrize("version", ALL)
def test_the_profiler_hears_each_layer_of_each_run(version: str) -> None:
    assert heard(version, "profiler") == {"conv1": [0.5, 0.75], "conv2 + relu": [0.25]}
