"""One contract for all backends: what a session takes, gives and refuses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk.backends import Backend, Engine, Session, backend_names, load_backend
from edgesdk.backends.tensorrt import TensorRTBackend
from edgesdk.backends.tensorrt.backend import Machinery
from edgesdk.backends.tensorrt.driver import Driver
from edgesdk.errors import BackendError, UnknownName
from edgesdk.model import Model


def affine() -> Model:
    """y = 2 x + [1, 0, -1], so that its answers are known without running anything."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "two"], ["doubled"], name="double"),
            helper.make_node("Add", ["doubled", "shift"], ["y"], name="shift_it"),
        ],
        "affine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [
            numpy_helper.from_array(np.array(2, np.float32), "two"),
            numpy_helper.from_array(np.array([1, 0, -1], np.float32), "shift"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    return Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8), "affine")


def with_marks(name: str) -> object:
    """So that `-m gpu` runs this suite on the GPU as well."""
    return pytest.param(name, marks=pytest.mark.gpu) if name == "tensorrt" else name


@pytest.fixture(params=map(with_marks, backend_names()))
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen = load_backend(request.param)
    probe = chosen.probe()
    if not probe.usable:
        need = "needs a GPU" if request.param == "tensorrt" else "needs the extra 'cpu'"
        pytest.skip(f"{need}: {probe.reason}")
    return chosen


@pytest.fixture
def session(backend: Backend) -> Iterator[Session]:
    opened = backend.open(backend.compile(affine()))
    yield opened
    opened.close()


def test_a_session_says_what_it_takes_and_gives(session: Session) -> None:
    assert [str(spec) for spec in session.inputs] == ["x: float32[2x3]"]
    assert [str(spec) for spec in session.outputs] == ["y: float32[2x3]"]


def test_a_session_gives_the_model_s_answer(session: Session) -> None:
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    answer = session.run({"x": x})
    np.testing.assert_array_equal(answer["y"], [[3, 4, 5], [9, 10, 11]])


def test_running_twice_gives_each_input_its_own_answer(session: Session) -> None:
    first = session.run({"x": np.zeros((2, 3), np.float32)})["y"].copy()
    second = session.run({"x": np.ones((2, 3), np.float32)})["y"]
    np.testing.assert_array_equal(second - first, np.full((2, 3), 2))


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"z": np.zeros((2, 3), np.float32)},
        {"x": np.zeros((2, 3), np.float32), "z": np.zeros(1, np.float32)},
        {"x": np.zeros((2, 3), np.float64)},
        {"x": np.zeros((3, 2), np.float32)},
        {"x": np.zeros(6, np.float32)},
    ],
    ids=["missing", "unknown", "one too many", "wrong dtype", "wrong shape", "wrong rank"],
)
def test_wrong_inputs_are_refused_and_the_session_lives_on(
    session: Session, feeds: dict[str, np.ndarray]
) -> None:
    with pytest.raises(BackendError, match="x"):
        session.run(feeds)
    assert session.run({"x": np.zeros((2, 3), np.float32)})["y"].shape == (2, 3)


def test_closing_twice_is_harmless_and_running_after_it_is_refused(session: Session) -> None:
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run({"x": np.zeros((2, 3), np.float32)})


def test_a_foreign_engine_is_refused_by_name(backend: Backend) -> None:
    with pytest.raises(BackendError, match="someone-else"):
        backend.open(Engine("someone-else", b""))


def test_large_values_go_through_a_sigmoid_without_a_warning(backend: Backend) -> None:
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"], name="sigmoid")],
        "sigmoid",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    session = backend.open(backend.compile(model))
    answer = session.run({"x": np.array([-1e3, 0, 100, 1e3], np.float32)})["y"]
    np.testing.assert_allclose(answer, [0, 0.5, 1, 1], atol=1e-7)


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
