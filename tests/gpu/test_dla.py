"""DLA, on boards that have one and whose TensorRT compiles for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.backend import TensorRTBackend, TensorRTEngine
from edgesdk.backends.tensorrt.building.builder import BuildOrder, BuiltEngine, build_engine
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.backends.tensorrt.version import WEAKLY_TYPED_BEFORE, Version
from edgesdk.model import Model
from edgesdk.quantize.implicit import make_implicit
from edgesdk.tensors import Array
from tests.gpu.conftest import Record
from tests.gpu.nets import make_net, pictures, reference, sqnr_db
from tests.gpu.tolerances import TOLERANCES

CORE = DlaSettings(core=0, gpu_fallback=True)


@pytest.fixture(autouse=True)
def cores(trt: TensorRT) -> int:
    reason = features_of(trt).no_dla
    if reason:
        pytest.skip(f"needs a board with DLA: {reason}")
    found = trt.Builder(trt.Logger(trt.Logger.ERROR)).num_DLA_cores
    if found == 0:
        pytest.skip("needs a board with DLA: TensorRT finds none on this one")
    return int(found)


@pytest.fixture
def weak(trt: TensorRT) -> bool:
    """Before 11, DLA takes no Q/DQ: INT8 goes in as ranges beside the graph."""
    return Version.parse(trt.__version__) < WEAKLY_TYPED_BEFORE


def answers_of(built: BuiltEngine, settings: EngineSettings, feeds: Sequence[Array]) -> list[Array]:
    engine = TensorRTEngine("tensorrt", built.data, settings=settings)
    with closing(TensorRTBackend().open(engine)) as session:
        return [session.run({"x": x})["y"].copy() for x in feeds]


def judge(built: BuiltEngine, settings: EngineSettings, net: Model, record: Record) -> None:
    feeds = pictures(4, seed=2)
    answers = answers_of(built, settings, feeds)
    worst = min(sqnr_db(e, a) for e, a in zip(reference(net, feeds), answers, strict=True))
    record("sqnr_db", round(worst, 1))
    record("dla", str(built.dla))
    record("layers", "; ".join(f"{x.name}: {x.device}" for x in built.layers))
    assert built.dla is not None
    assert built.dla.on_dla > 0
    assert worst >= TOLERANCES["dla"].least_db, TOLERANCES["dla"].reason


def test_fp16_on_dla_answers_as_onnx_runtime_does(
    trt: TensorRT, opset: int, record: Record
) -> None:
    if opset < 19:
        pytest.skip("needs a board with TensorRT 10 or later, which takes opset 19")
    net = make_net("plain", "fp16", opset)
    settings = EngineSettings(dla=CORE)
    judge(build_engine(trt, net, settings, BuildOrder()), settings, net, record)


def test_int8_on_dla_answers_as_onnx_runtime_does(
    trt: TensorRT, weak: bool, opset: int, tmp_path: Path, record: Record
) -> None:
    net = make_net("plain", "int8", opset)
    if weak:
        form = make_implicit(net)
        settings = EngineSettings(dla=CORE, implicit_int8=True)
        order = BuildOrder(ranges=form.ranges)
        built = build_engine(trt, form.model, settings, order)
    else:
        settings = EngineSettings(dla=CORE)
        built = build_engine(trt, net, settings, BuildOrder())
    judge(built, settings, net, record)
