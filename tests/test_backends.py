"""One contract for all backends: what a session takes, gives and refuses."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk.backends import Backend, Engine, backend_names, load_backend
from edgesdk.backends.tensorrt import TensorRTBackend
from edgesdk.backends.tensorrt.backend import Machinery
from edgesdk.backends.tensorrt.machine.driver import Driver
from edgesdk.errors import BackendError, UnknownName
from edgesdk.model import Model
from tests.backend_contract import *  # noqa: F403
from tests.backend_contract import affine


def with_marks(name: str) -> object:
    """So that `-m gpu` runs this suite on the GPU as well, where TensorRT warns of old names."""
    marks = (pytest.mark.gpu, pytest.mark.filterwarnings("default::DeprecationWarning"))
    return pytest.param(name, marks=marks) if name == "tensorrt" else name


@pytest.fixture(params=map(with_marks, backend_names()))
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen = load_backend(request.param)
    probe = chosen.probe()
    if not probe.usable:
        need = "needs a GPU" if request.param == "tensorrt" else "needs the extra 'cpu'"
        pytest.skip(f"{need}: {probe.reason}")
    return chosen


def test_both_cpu_backends_agree_on_a_quantized_graph() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scales = rng.uniform(0.001, 0.01, 4).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["dw"], axis=0),
            helper.make_node("Conv", ["d", "dw"], ["y"], pads=[1, 1, 1, 1]),
        ],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [
            numpy_helper.from_array(np.array(0.02, np.float32), "s"),
            numpy_helper.from_array(np.array(0, np.int8), "z"),
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(scales, "ws"),
            numpy_helper.from_array(np.zeros(4, np.int8), "wz"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(proto)
    model = Model.of(proto)
    x = rng.normal(size=(1, 3, 8, 8)).astype(np.float32)
    answers = []
    for name in ("onnxruntime", "reference"):
        engine = load_backend(name, exact=True)
        answers.append(engine.open(engine.compile(model)).run({"x": x})["y"])
    # Same integers, same float32 products; only the order of the sums differs.
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5, atol=1e-5)


def test_a_wrong_backend_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        load_backend("onnxruntme")
    assert caught.value.near[0] == "onnxruntime"


def test_a_model_that_onnxruntime_cannot_load_is_refused_with_its_reason() -> None:
    backend = load_backend("onnxruntime")
    with pytest.raises(BackendError, match="ONNX Runtime refuses"):
        backend.open(Engine("onnxruntime", b"not onnx"))


def test_without_a_driver_the_probe_says_so_and_makes_no_tensorrt_object() -> None:
    absent = Driver(problem="there is no NVIDIA driver: libcuda.so.1 is not found")
    backend = TensorRTBackend(machinery=Machinery(driver=lambda: absent))
    probe = backend.probe()
    assert (probe.usable, probe.reason) == (False, absent.problem)
    assert "JetPack" in probe.fix
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        backend.compile(affine())


def test_a_model_that_asks_for_the_impossible_is_stopped_with_a_sentence() -> None:
    nodes = [helper.make_node("Gather", ["x", "index"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "gather",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array([7], np.int64), "index")],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    backend = load_backend("onnxruntime", exact=True)
    session = backend.open(backend.compile(model))
    with pytest.raises(BackendError, match="stopped while running"):
        session.run({"x": np.zeros(2, np.float32)})


def test_onnxruntimes_telemetry_is_off_before_a_model_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ort = pytest.importorskip("onnxruntime")
    happened: list[str] = []
    off, opened = ort.disable_telemetry_events, ort.InferenceSession

    def disable() -> None:
        happened.append("off")
        off()

    def session(*arguments: object, **options: object) -> object:
        happened.append("open")
        return opened(*arguments, **options)

    monkeypatch.setattr(ort, "disable_telemetry_events", disable)
    monkeypatch.setattr(ort, "InferenceSession", session)
    backend = load_backend("onnxruntime")
    backend.open(backend.compile(affine())).close()
    assert happened[0] == "off"
    assert "open" in happened
