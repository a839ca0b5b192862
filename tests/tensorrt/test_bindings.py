"""The committed lists are what the real bindings of each version say today.

The bindings are NVIDIA's own; the libraries behind them are stubs, so nothing of TensorRT runs.
"""

from __future__ import annotations

import json

import pytest

from tests.partners.bindings import LISTS, PACKAGES, fresh_list, run

VERSIONS = sorted(PACKAGES, key=lambda version: [int(part) for part in version.split(".")])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_committed_list_is_what_the_real_bindings_offer(version: str) -> None:
    assert (LISTS / f"{version}.json").read_text() == fresh_list(version), (
        "write them anew: python -m tests.partners.bindings lists"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_list_is_of_that_version(version: str) -> None:
    assert json.loads((LISTS / f"{version}.json").read_text())["version"].startswith(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_library_behind_them_no_builder_can_be_made(version: str) -> None:
    done = run(version, "-c", "import tensorrt as trt; trt.Builder(trt.Logger())")
    assert "factory function returned nullptr" in done.stderr
