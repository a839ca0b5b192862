"""Engines are built on this GPU, run, and answer as ONNX Runtime does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgesdk.backends import load_backend, opened
from edgesdk.backends.tensorrt.backend import TensorRTBackend
from edgesdk.backends.tensorrt.building.graph_facts import read_facts
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.detections import Detections
from edgesdk.geometry import iou
from edgesdk.sim import simulated_pictures
from edgesdk.vision.decoders import make_decoder
from tests.gpu.conftest import Record
from tests.gpu.nets import NETS, PRECISIONS, make_net, pictures, reference, sqnr_db
from tests.gpu.tolerances import (
    IOU_OF_A_MATCH,
    MATCHED_PERCENT,
    SCORE_OF_A_BOX,
    TOLERANCES,
)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("net", NETS)
def test_an_engine_answers_as_onnx_runtime_does(
    net: str, precision: str, opset: int, record: Record
) -> None:
    if precision == "fp16" and opset < 19:
        pytest.skip("needs a GPU: with TensorRT 10 or later, which takes opset 19")
    model = make_net(net, precision, opset)
    feeds = pictures(4, seed=2)
    backend = TensorRTBackend()
    with closing(backend.open(backend.compile(model))) as session:
        answers = [session.run({"x": x})["y"].copy() for x in feeds]
    expected = reference(model, feeds)
    worst = min(sqnr_db(e, a) for e, a in zip(expected, answers, strict=True))
    record("sqnr_db", round(worst, 1))
    assert all(a.dtype == e.dtype for e, a in zip(expected, answers, strict=True))
    assert worst >= TOLERANCES[precision].least_db, TOLERANCES[precision].reason


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_engine_without_weights_answers_as_one_with_them(
    precision: str, opset: int, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether TensorRT puts INT8 weights back through their Q/DQ pairs is seen here only."""
    if opset < 19:
        pytest.skip("needs a GPU: with TensorRT 10 or later, which has engines without weights")
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path))
    model = make_net("residual", precision, opset)
    feeds = pictures(4, seed=4)
    backend = TensorRTBackend()
    backend.workshop(model.digest).compiled(model, EngineSettings(strip_weights=True))
    with closing(backend.open(backend.compile(model))) as session:
        answers = [session.run({"x": x})["y"].copy() for x in feeds]
    worst = min(sqnr_db(e, a) for e, a in zip(reference(model, feeds), answers, strict=True))
    record("sqnr_db", round(worst, 1))
    assert worst >= TOLERANCES[precision].least_db, TOLERANCES[precision].reason


@pytest.mark.parametrize("net", NETS)
def test_what_was_asked_for_in_int8_runs_in_int8(net: str, opset: int, record: Record) -> None:
    model = make_net(net, "int8", opset)
    engine = TensorRTBackend().compile(model)
    wanted = set(read_facts(model).int8_nodes)
    ran = {node for layer in engine.layers if layer.precision == "int8" for node in layer.origin}
    record("layers", "; ".join(f"{x.name}: {x.precision}" for x in engine.layers))
    record("warnings", "; ".join(engine.warnings))
    assert wanted, "the net has layers that should run in INT8"
    assert wanted <= ran, f"not in INT8: {', '.join(sorted(wanted - ran))}"


def test_the_net_of_the_traffic_app_finds_the_same_vehicles(
    tmp_path_factory: pytest.TempPathFactory, opset: int, record: Record
) -> None:
    folder = tmp_path_factory.mktemp("traffic")
    order = BuildOrder(
        device="orin",
        model="traffic_counting",
        precision="int8",
        data="sim://traffic?frames=32&fps=1",
        recipe="fast",
        jetpack="6.0" if opset == 17 else "6.2",
        out=folder / "traffic.edge",
    )
    request, path = resolve(order)
    bundle = build(request, path)
    model, spec = bundle.model(), bundle.manifest.spec
    assert spec is not None
    decoder = make_decoder(spec.decoder, "the traffic app", spec.preprocess)
    name = model.inputs[0].name
    tensorrt = TensorRTBackend(bundle)
    both = both_matched = 0
    with (
        closing(tensorrt.open(tensorrt.compile(model))) as fast,
        opened(load_backend("onnxruntime", exact=True), model) as exact,
    ):
        for picture in simulated_pictures("sim://traffic?seed=9&frames=20&fps=1"):
            tensor, placement = spec.preprocess(picture.image)
            found, expected = (
                decoder.decode(session.run({name: tensor}), placement) for session in (fast, exact)
            )
            assert isinstance(found, Detections)
            assert isinstance(expected, Detections)
            a, b = shown(found), shown(expected)
            both += len(a) + len(b)
            both_matched += matches(a, b) + matches(b, a)
    share = 100 * both_matched / max(both, 1)
    record("matched_percent", round(share, 2))
    record("boxes", both)
    assert both > 40, "there are vehicles to be found"
    assert share >= MATCHED_PERCENT


def shown(found: Detections) -> Detections:
    return found[found.score >= SCORE_OF_A_BOX]


def matches(some: Detections, others: Detections) -> int:
    """How many of `some` have one of the same class in `others` at the same place."""
    if not len(some) or not len(others):
        return 0
    same = some.class_id[:, None] == others.class_id[None, :]
    near = (iou(some.xyxy, others.xyxy) >= IOU_OF_A_MATCH) & same
    return int(np.count_nonzero(near.any(axis=1)))
