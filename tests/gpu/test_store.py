"""Engines are kept, found again, and refused on another GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.backend import TensorRTBackend
from edgesdk.backends.tensorrt.engines.workshop import Workshop
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError
from edgesdk.model import Model
from tests.gpu.conftest import Record
from tests.gpu.nets import make_net


@pytest.fixture
def model(opset: int) -> Model:
    return make_net("residual", "int8", opset)


@pytest.fixture
def workshop(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """With a store of its own, where nothing was built yet."""
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path))
    return TensorRTBackend().workshop(model.digest)


def test_a_second_compile_takes_the_engine_that_is_there(
    workshop: Workshop, model: Model, record: Record
) -> None:
    first = workshop.compiled(model, EngineSettings())
    changed = first.path.stat().st_mtime_ns
    second = workshop.compiled(model, EngineSettings())
    assert second.path == first.path
    assert second.path.stat().st_mtime_ns == changed
    record("build_s", round(first.record.seconds, 2))
    record("engine_bytes", first.record.size_bytes)


def test_an_engine_of_another_gpu_is_refused_by_name(workshop: Workshop, model: Model) -> None:
    stored = workshop.compiled(model, EngineSettings())
    beside = stored.path.with_suffix(".json")
    table = json.loads(beside.read_text())
    own = table["key"]["host"]["compute_capability"]
    table["key"]["host"]["compute_capability"] = "3.7"
    beside.write_text(json.dumps(table))
    with pytest.raises(BackendError, match=rf"3\.7, expected {own}") as caught:
        TensorRTBackend().compile(model)
    assert "edgesdk compile" in caught.value.hint


def test_the_timing_cache_is_kept_and_the_second_build_told_apart(
    workshop: Workshop, model: Model, record: Record
) -> None:
    """Whether it is faster is recorded and not asserted: it is TensorRT's and the board's doing."""
    first = workshop.built(model, EngineSettings())
    caches = list(workshop.store.folder().glob("timing-*.cache"))
    second = workshop.built(model, EngineSettings())
    record("first_build_s", round(first.record.seconds, 2))
    record("second_build_s", round(second.record.seconds, 2))
    assert len(caches) == 1
    assert caches[0].stat().st_size > 0
    assert not [w for w in second.record.warnings if "timing cache" in w]
