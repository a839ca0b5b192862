"""Engines are kept, found again, and refused on another GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.backend import TensorRTBackend
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.backends.tensorrt.store import EngineStore
from edgesdk.errors import BackendError
from tests.gpu.conftest import Record
from tests.gpu.nets import make_net


@pytest.fixture
def store(tmp_path: Path, opset: int) -> EngineStore:
    return EngineStore(make_net("residual", "int8", opset).digest, (tmp_path / "net.engines",))


def test_a_second_compile_takes_the_engine_that_is_there(
    store: EngineStore, opset: int, record_property: Record
) -> None:
    model = make_net("residual", "int8", opset)
    workshop = TensorRTBackend(store).workshop(store)
    first = workshop.compiled(model, EngineSettings())
    changed = first.path.stat().st_mtime_ns
    second = workshop.compiled(model, EngineSettings())
    assert second.path == first.path
    assert second.path.stat().st_mtime_ns == changed
    record_property("build_s", round(first.record.seconds, 2))
    record_property("engine_bytes", first.record.size_bytes)


def test_an_engine_of_another_gpu_is_refused_by_name(store: EngineStore, opset: int) -> None:
    model = make_net("residual", "int8", opset)
    stored = TensorRTBackend(store).workshop(store).compiled(model, EngineSettings())
    beside = stored.path.with_suffix(".json")
    table = json.loads(beside.read_text())
    own = table["key"]["host"]["compute_capability"]
    table["key"]["host"]["compute_capability"] = "3.7"
    beside.write_text(json.dumps(table))
    with pytest.raises(BackendError, match=rf"3\.7, expected {own}") as caught:
        TensorRTBackend(store).compile(model)
    assert "edgesdk compile" in caught.value.hint


def test_the_timing_cache_is_kept_and_the_second_build_told_apart(
    store: EngineStore, opset: int, record_property: Record
) -> None:
    """Whether it is faster is recorded and not asserted: it is TensorRT's and the board's doing."""
    model = make_net("residual", "int8", opset)
    workshop = TensorRTBackend(store).workshop(store)
    first = workshop.built(model, EngineSettings())
    caches = list(store.folder().glob("timing-*.cache"))
    second = workshop.built(model, EngineSettings())
    record_property("first_build_s", round(first.record.seconds, 2))
    record_property("second_build_s", round(second.record.seconds, 2))
    assert len(caches) == 1
    assert caches[0].stat().st_size > 0
    assert not [w for w in second.record.warnings if "timing cache" in w]
