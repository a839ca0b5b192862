"""edgesdk's builder on the real module `tensorrt` 11.0 and 11.4, building engines on the CPU.

The module and its bindings are NVIDIA's own of that version; the library behind them is
TensorRT-RTX's, which needs no GPU to build. It shows that our calls are taken, that flags and
settings arrive, and what is said when TensorRT refuses. The engines are of RTX: they run on no
Jetson, and nothing is run here.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest

from tests.partners.bindings import PACKAGES, run

ELEVEN = [version for version in PACKAGES if version.startswith("11")]
SEVERAL = pytest.mark.parametrize("version", ELEVEN)


@lru_cache
def came_of(version: str, case: str) -> dict[str, Any]:
    done = run(version, "-m", "tests.tensorrt.build_real", case, library="rtx")
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@SEVERAL
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_graphs_of_each_precision_are_built(version: str, precision: str) -> None:
    built = came_of(version, "precisions")[precision]
    assert built["bytes"] > 100_000
    assert built["version"].startswith(version)


@SEVERAL
def test_progress_never_falls_and_ends_at_the_whole(version: str) -> None:
    for built in came_of(version, "precisions").values():
        shares = built["shares"]
        assert len(shares) > 50
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


@SEVERAL
def test_an_int8_build_whose_layers_cannot_be_listed_says_so(version: str) -> None:
    (warning,) = came_of(version, "precisions")["int8"]["warnings"]
    assert "its 3 INT8 layers" in warning


@SEVERAL
def test_a_build_is_stopped_between_its_steps(version: str) -> None:
    stopped = came_of(version, "stops")["stopped"]
    assert stopped["error"] == "the build was stopped"
    assert stopped["shares"][-1] < 0.5


@SEVERAL
def test_a_range_of_batches_is_taken(version: str) -> None:
    assert came_of(version, "ranges")["batches"]["bytes"] > 100_000


@SEVERAL
@pytest.mark.parametrize("setting", [*(f"level {level}" for level in range(6)), "workspace"])
def test_levels_and_workspace_are_taken(version: str, setting: str) -> None:
    assert came_of(version, "settings")[setting]["bytes"] > 100_000


@SEVERAL
def test_version_compatibility_arrives_as_that_flag(version: str) -> None:
    """TensorRT packs its lean runtime into such an engine, which this library comes without."""
    assert "libnvinfer_lean" in came_of(version, "settings")["later"]["error"]


@SEVERAL
def test_an_engine_without_weights_is_asked_for_as_that_flag(version: str) -> None:
    """Its kernels are compiled at once, which wants a driver; those of others are not."""
    assert "CUDA_SUCCESS" in came_of(version, "settings")["strip"]["error"]


@SEVERAL
def test_dla_is_refused_before_tensorrt_is_asked(version: str) -> None:
    refused = came_of(version, "settings")["dla"]
    assert "has no DLA" in refused["error"]
    assert refused["shares"] == []


@SEVERAL
def test_a_timing_cache_is_written_read_and_survives_damage(version: str) -> None:
    found = came_of(version, "caches")
    assert all(found[build]["bytes"] > 100_000 for build in ("first", "second", "third"))
    assert found["second"]["warnings"] == []
    assert found["sizes"][0] > 0


@SEVERAL
def test_an_operator_it_has_not_is_named_with_its_node(version: str) -> None:
    error = came_of(version, "refusals")["operator"]["error"]
    assert error.endswith("does not take the graph: riddle (Det): unsupported node (false)")
