"""DLA, on boards that have one and whose TensorRT compiles for it."""

from __future__ import annotations

from contextlib import closing

import pytest

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.backend import TensorRTBackend
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.backends.tensorrt.store import EngineStore
from edgesdk.backends.tensorrt.version import STRONGLY_TYPED, Version
from tests.gpu.conftest import Record
from tests.gpu.nets import make_net, pictures, reference, sqnr_db
from tests.gpu.tolerances import TOLERANCES


@pytest.fixture
def dla(trt: TensorRT) -> EngineSettings:
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    if builder.num_DLA_cores == 0:
        pytest.skip("needs a board with DLA, and a TensorRT that compiles for it")
    if Version.parse(trt.__version__) < STRONGLY_TYPED:
        pytest.skip("needs a board with TensorRT 10: before, DLA takes no Q/DQ")
    return EngineSettings(dla=DlaSettings(core=0, gpu_fallback=True))


def test_an_engine_for_dla_answers_as_onnx_runtime_does(
    dla: EngineSettings, tmp_path_factory: pytest.TempPathFactory, opset: int, record_property: Record
) -> None:
    model = make_net("plain", "int8", opset)
    store = EngineStore(model.digest, (tmp_path_factory.mktemp("dla"),))
    backend = TensorRTBackend(store, dla)
    engine = backend.compile(model)
    feeds = pictures(4, seed=2)
    with closing(backend.open(engine)) as session:
        answers = [session.run({"x": x})["y"].copy() for x in feeds]
    worst = min(sqnr_db(e, a) for e, a in zip(reference(model, feeds), answers, strict=True))
    report = store.stored()[0].record.dla
    record_property("sqnr_db", round(worst, 1))
    record_property("dla", str(report))
    assert report is not None
    assert report.on_dla > 0
    assert worst >= TOLERANCES["dla"].least_db, TOLERANCES["dla"].reason
